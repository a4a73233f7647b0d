"""Which images there are, and of which class: folders of classes, and tables of paths."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx2genn.data.reading import is_folder, reading
from onnx2genn.errors import DataError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".tif", ".tiff"}
_TABLES = {".csv": ",", ".tsv": "\t"}
_IMAGE = {"image", "images", "path", "paths", "file", "files", "filename", "filepath", "image_path"}
_LABEL = {"label", "labels", "class", "classes", "target", "category", "y"}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Images in the order of the samples.

    Attributes:
        files: The images.
        labels: The class of each; None if that is not known.
        names: Names of the classes, in their order; empty if they have none.
    """

    files: Sequence[Path]
    labels: Sequence[int] | None = None
    names: tuple[str, ...] = ()


def names_images(path: Path) -> bool:
    """Whether a path is that of images: a folder of them, or a table of their paths.

    Raises:
        DataError: It is neither a file nor a folder.
    """
    return is_folder(path) or path.suffix.lower() in _TABLES


def listed(path: Path, limit: int | None = None) -> Listed:
    """List images.

    Args:
        path: A folder with a folder of images for each class, which are taken in the order of
            names. Or a table, ``.csv`` or ``.tsv``, of an image and its label in each line, whose
            paths begin at the folder of the table; labels are numbers from 0 on, or the names of
            classes, which are then numbered in the order of names.
        limit: Use only so many; of folders the first of every class in turn.

    Raises:
        DataError: There are none, or they cannot be read.
    """
    return _of_folders(path, limit) if is_folder(path) else _of_table(path, limit)


def _of_folders(folder: Path, limit: int | None) -> Listed:
    with reading(folder):
        classes = sorted(item for item in folder.iterdir() if item.is_dir())
    chosen = []
    for label, place in enumerate(classes):
        with reading(place):
            files = sorted(item for item in place.iterdir() if item.suffix.lower() in _SUFFIXES)
        chosen += [(turn, label, file) for turn, file in enumerate(files)]
    if not chosen:
        raise DataError(f"{folder} has no folders of images: it needs one folder for each class.")
    chosen = sorted(chosen)[:limit]
    return Listed(
        files=[file for _, _, file in chosen],
        labels=[label for _, label, _ in chosen],
        names=tuple(place.name for place in classes),
    )


def _of_table(path: Path, limit: int | None) -> Listed:
    with reading(path), path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=_TABLES[path.suffix.lower()], strict=True)
        rows = [(lines.line_num, row) for row in lines if any(cell.strip() for cell in row)]
    first = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    image, label = (
        next((at for at, name in enumerate(first) if name in known), None)
        for known in (_IMAGE, _LABEL)
    )
    if image is None and label is None:
        image, label = 0, 1 if len(first) > 1 else None
    else:
        rows = rows[1:]
    if not rows:
        raise DataError(f"{path} lists no images: it needs a line of a path and a label for each.")
    if image is None:
        raise DataError(f"{path} has a column {first[label or 0]!r}, but none is called 'image'.")
    needed = 1 + max(image, label or 0)
    for number, row in rows:
        if len(row) < needed:
            raise DataError(f"{path}, line {number}: it has {len(row)} cells; {needed} are needed.")
    files = [path.parent / row[image].strip() for _, row in rows[:limit]]
    for (number, _), place in zip(rows, files, strict=False):
        if not place.is_file():
            raise DataError(f"{path}, line {number}: there is no image {str(place)!r}.")
    if label is None:
        return Listed(files=files)
    labels, names = _labels(path, [(number, row[label].strip()) for number, row in rows])
    return Listed(files=files, labels=labels[:limit], names=names)


def _labels(path: Path, cells: Sequence[tuple[int, str]]) -> tuple[list[int], tuple[str, ...]]:
    """Read labels that are all numbers, or all names."""
    odd = [(number, text) for number, text in cells if not (text.isascii() and text.isdecimal())]
    if not odd:
        return [int(text) for _, text in cells], ()
    number, text = odd[0]
    if len(odd) < len(cells) or not text:
        raise DataError(
            f"{path}, line {number}: the label {text!r} is no whole number from 0 on. Labels are "
            "all numbers, or all names of classes."
        )
    names = tuple(sorted({text for _, text in cells}))
    places = {name: place for place, name in enumerate(names)}
    return [places[text] for _, text in cells], names
