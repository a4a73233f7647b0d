"""How samples are prepared for a model: scaled, normalised, laid out, and images resized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from onnx2genn.errors import DataError

CHANNELS_FIRST, CHANNELS_LAST = LAYOUTS = ("channels-first", "channels-last")
STRETCH, CROP = "stretch", "crop"
_AXES = 3


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What is done to samples before a model takes them: ``(scale * x - mean) / std``.

    All but ``resize`` becomes part of the network, as its first operators, and is saved with it:
    its samples are then those before. Pixels of image files are between 0 and 1 before that.

    Attributes:
        scale: Factor.
        mean: In the units of the model; one for all, or one for each channel.
        std: Likewise, above 0.
        layout: Where samples have their channels, ``channels-first`` or ``channels-last``, if that
            may be elsewhere than the model has them.
        resize: What is done to image files of another size than the model takes: ``"stretch"`` to
            its height and width; ``"crop"``, scale until they cover it and take the middle; or a
            number of pixels that their shorter side is scaled to before the middle is taken. They
            are refused if None.

    Raises:
        DataError: A value is out of range, or there are several of different number.
    """

    scale: float = 1.0
    mean: float | Sequence[float] = (0.0,)
    std: float | Sequence[float] = (1.0,)
    layout: str | None = None
    resize: str | int | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, _row(getattr(self, name)))
        for name in ("scale", "mean", "std"):
            values = _row(getattr(self, name))
            if not values or not np.isfinite(values).all():
                raise DataError(f"{name} is {_written(values)}: it has to be a finite number.")
        if self.scale == 0:
            raise DataError("scale is 0, which leaves nothing of the samples.")
        if min(_row(self.std)) <= 0:
            raise DataError(f"std is {_written(self.std)}: it has to be above 0.")
        means, stds = len(_row(self.mean)), len(_row(self.std))
        if means != stds and 1 not in (means, stds):
            raise DataError(
                f"mean has {means} values and std {stds}: give one for every channel, or one for "
                "all."
            )
        if self.layout not in (None, *LAYOUTS):
            raise DataError(f"layout is {self.layout!r}; there are {' and '.join(LAYOUTS)}.")
        if self.resize not in (None, STRETCH, CROP) and not _is_size(self.resize):
            raise DataError(
                f"resize is {self.resize!r}; it takes {STRETCH!r}, {CROP!r} or a number of pixels."
            )

    @property
    def channels(self) -> int:
        """Number of channels that it has values for; 1 if they are the same for all."""
        return max(len(_row(self.mean)), len(_row(self.std)))

    @property
    def factor(self) -> np.ndarray:
        """What samples are multiplied by, float64 [1 or channels]."""
        return np.broadcast_to(self.scale / np.array(self.std), self.channels)

    @property
    def shift(self) -> np.ndarray:
        """What is added then, float64 [1 or channels]."""
        return np.broadcast_to(-np.array(self.mean) / np.array(self.std), self.channels)

    def options(self) -> dict[str, Any]:
        """Return what is not as by default, as plain values."""
        default = asdict(Preprocessing())
        return {name: value for name, value in asdict(self).items() if value != default[name]}

    def __str__(self) -> str:
        return ", ".join(f"{name} {_written(value)}" for name, value in self.options().items())


def layout_of(shape: Sequence[int | None], wanted: Sequence[int | None]) -> str | None:
    """Say how samples are laid out that would fit a model if their channels were elsewhere.

    Args:
        shape: Shape of a sample.
        wanted: Shape of a sample that the model takes; None for what it leaves open.
    """
    if len(shape) != len(wanted) or len(shape) != _AXES:
        return None
    moved = {
        CHANNELS_FIRST: (shape[1], shape[2], shape[0]),
        CHANNELS_LAST: (shape[2], shape[0], shape[1]),
    }
    for layout, sizes in moved.items():
        if all(known in (None, size) for known, size in zip(wanted, sizes, strict=True)):
            return layout
    return None


def _row(values: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(map(float, np.reshape(values, -1)))


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{item:g}" for item in value) or "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)


AS_IT_IS = Preprocessing()
NAMES = tuple(item.name for item in fields(Preprocessing))
