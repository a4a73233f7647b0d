"""Samples and labels of the data sets that frameworks have: torch, tf.data, Hugging Face."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from onnx2genn.errors import DataError

_LABELS = ("label", "labels", "y", "target")


class Indexed(Protocol):
    """What is read by number, as the data sets of torch."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Pairs(NamedTuple):
    """Samples [N, ...] and, where the data set has them, labels [N, ...]."""

    x: np.ndarray
    y: np.ndarray | None


def samples_from(
    dataset: Iterable[Any] | Indexed,
    limit: int | None = None,
    *,
    names: Sequence[str] | None = None,
    batched: bool | None = None,
) -> Pairs:
    """Read a data set of a framework into arrays, which ``convert`` and ``evaluate`` take.

    Args:
        dataset: A ``torch.utils.data.Dataset`` or ``DataLoader``, a ``tf.data.Dataset``, a data set
            of Hugging Face, or anything else that gives samples, pairs of a sample and a label, or
            mappings of both by name, one by one or in batches.
        limit: Read only the first samples.
        names: Of mappings, the name of the sample, and of the label if there is one. By default the
            label is ``label``, ``labels``, ``y`` or ``target``, and the sample is what else there
            is.
        batched: Whether items are batches [n, ...]. By default they are where a label is an array
            as long as its sample.

    Raises:
        DataError: There are no samples, they differ in shape, or names are missing.

    Example:
        >>> import onnx2genn
        >>> x, y = onnx2genn.samples_from(train_set, 1000)  # doctest: +SKIP
        >>> network = onnx2genn.convert("model.onnx", calibration=x)  # doctest: +SKIP
    """
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    for number, item in enumerate(_items(dataset)):
        if limit is not None and len(xs) >= limit:
            break
        x, y = _pair(item, names, number)
        if _is_batch(x, y) if batched is None else batched:
            xs += [*x]
            ys += [] if y is None else [*y]
        else:
            xs.append(x)
            ys += [] if y is None else [y]
    if not xs:
        raise DataError("The data set has no samples.")
    return Pairs(_stacked(xs[:limit], "samples"), _stacked(ys[:limit], "labels") if ys else None)


def _items(dataset: Iterable[Any] | Indexed) -> Iterator[Any]:
    # Torch's map-style data sets have a length and no end: they are read by number.
    if not hasattr(dataset, "__iter__") and hasattr(dataset, "__len__"):
        return (dataset[index] for index in range(len(dataset)))
    if isinstance(dataset, Iterable):
        return iter(dataset)
    raise DataError(
        f"{type(dataset).__name__} is no data set: it gives no samples one after the other."
    )


def _pair(
    item: Any, names: Sequence[str] | None, number: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Tell a sample, or a batch of them, from its label."""
    if isinstance(item, Mapping):
        chosen = names or _guess(item, number)
        if missing := [name for name in chosen if name not in item]:
            raise DataError(
                f"Sample {number} of the data set has no {', '.join(missing)}; it has "
                f"{', '.join(map(str, item))}."
            )
        item = [item[name] for name in chosen]
    if not isinstance(item, (tuple, list)):
        return np.asarray(item), None
    if len(item) not in (1, 2):
        raise DataError(
            f"Sample {number} of the data set has {len(item)} parts: a sample and a label are "
            "expected. Let the data set give these two."
        )
    x, *rest = map(np.asarray, item)
    return x, rest[0] if rest else None


def _guess(item: Mapping[str, Any], number: int) -> list[str]:
    label = next((name for name in _LABELS if name in item), None)
    others = [name for name in item if name != label]
    if len(others) != 1:
        raise DataError(
            f"Sample {number} of the data set has {', '.join(map(str, item))}: say which is the "
            'sample, and which the label (names=("image", "label")).'
        )
    return others if label is None else [*others, label]


def _is_batch(x: np.ndarray, y: np.ndarray | None) -> bool:
    return y is not None and x.ndim > 0 and y.ndim > 0 and len(x) == len(y)


def _stacked(items: list[np.ndarray], what: str) -> np.ndarray:
    first = items[0]
    for index, item in enumerate(itertools.islice(items, 1, None), 1):
        if item.shape != first.shape:
            raise DataError(
                f"The {what} of a data set have one shape, but that of number {index} is "
                f"{list(item.shape)}, and that of the first {list(first.shape)}."
            )
    return np.stack(items)
