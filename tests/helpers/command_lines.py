"""Random command lines: any option with any value, most of which do not go together."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import onnx

from helpers.models import mlp
from helpers.mutations import mutate_bytes, write_data
from onnx2genn.cli import main
from onnx2genn.cli.options import parser

_WORDS = ("", "0", "-1", "1", "3", "0.5", "nan", "inf", "1e9", "99999999999", "auto", "x", "[/red]")
_ASSIGNMENTS = (
    "input=poisson", "input=current", "steps=3", "steps=0", "seed=-1", "lookahead=1", "coding=rate",
    "reset=hard", "signed=true", "nonsense=1", "x", "=1", "percentile=1e99", "per_channel=false",
)  # fmt: skip
_OLD = b"what was there before"
_STATUS = {0: "right", 1: "refused", 2: "refused"}


def try_command(random: Random, folder: Path) -> str:
    """Run a random command line in this process.

    Args:
        random: It says what the words are.
        folder: Empty folder, for files.

    Returns:
        Whether it did its work or was refused.
    """
    files = _files(folder, random)
    words = _words(random, files, folder)
    out, err = io.StringIO(), io.StringIO()
    with _within(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(words)
        except SystemExit as leave:
            status = int(leave.code or 0)
    said = out.getvalue() + err.getvalue()
    assert status in _STATUS, f"status {status} of {words}: {said[-500:]}"
    assert "Traceback" not in said, f"{words}: {said[-500:]}"
    assert "error of onnx2genn" not in said, f"{words}: {said[-500:]}"
    assert status == 0 or said.strip(), f"{words} ends with {status} without a word"
    _require_whole(folder, words)
    return _STATUS[status]


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    """Let words that happen to be names of files mean those of a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _files(folder: Path, random: Random) -> list[str]:
    """Write sound and damaged files to choose from."""
    content = mlp().SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    (folder / "damaged.onnx").write_bytes(mutate_bytes(content, random))
    proto = onnx.load_from_string(content)
    (entry,) = proto.graph.input
    shape = [axis.dim_value for axis in entry.type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(0).random((20, *shape), dtype=np.float32)
    np.savez(folder / "data.npz", x=x, y=np.arange(20) % 3)
    np.save(folder / "data.npy", x)
    (folder / "odd").mkdir()
    write_data(folder / "odd", {"x": x[:3], "y": np.arange(3)}, random)
    (folder / "old.txt").write_bytes(_OLD)
    names = ["model.onnx", "damaged.onnx", "data.npz", "data.npy", "odd", "old.txt", "missing", ""]
    return [str(folder / name) for name in names]


def _words(random: Random, files: list[str], folder: Path) -> list[str]:
    good = random.random() < 0.8
    words = [files[0] if good else random.choice([*files, *_WORDS])]
    actions = [item for item in parser()._actions if item.option_strings]
    for action in random.sample(actions, random.choice([0, 1, 2, 2, 3, 5])):
        words.append(action.option_strings[-1])
        if action.nargs != 0:
            words.append(_value(action, random, files, folder))
    if "--backend" not in words and random.random() < 0.97:
        words += ["--backend", "onnxruntime"]
    return words


def _value(action: argparse.Action, random: Random, files: list[str], folder: Path) -> str:
    if random.random() < 0.1:
        return random.choice(_WORDS)
    if action.choices is not None:
        # What GeNN compiles takes seconds.
        return random.choice([str(item) for item in action.choices if item not in ("auto", "hip")])
    if action.dest in ("calibrate", "evaluate"):
        return random.choice([files[2], files[2], files[3], *files])
    if action.dest in ("save", "json", "report", "export_genn"):
        return random.choice([str(folder / "result"), str(folder / "result"), *files[5:]])
    return random.choice(_ASSIGNMENTS if action.dest == "option" else _WORDS)


def _require_whole(folder: Path, words: list[str]) -> None:
    """What was there is there, unless it is the name of a result; results are whole."""
    if str(folder / "old.txt") not in words:
        assert (folder / "old.txt").read_bytes() == _OLD
    assert not [*folder.glob(".onnx2genn-*")], f"{words} leaves a hidden file"
    for option, path in pairwise(words):
        if option == "--json" and Path(path).is_file() and path == str(folder / "result"):
            json.loads(Path(path).read_text(), parse_constant=_no_json)


def _no_json(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")
