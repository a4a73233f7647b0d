"""Every block of Python and sh of the README and of the documentation runs.

The folder that they run in has the shipped example, also under the names that pages use for the
reader's own files: ``model.onnx``, ``train.npz`` and ``test.npz``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT, Example
from helpers import run_page

ELSEWHERE = {
    "events.md": "tests/networks/test_events.py",
    "own_model.md": "tests/backends/genn/test_own_model.py",
}
"""Pages whose code runs in a test of its own, which also looks at what comes of it."""
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if page.name not in ELSEWHERE and list(run_page.blocks(page.read_text("utf-8")))
]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_code_of_the_page_runs(page: Path, digits: Example, tmp_path: Path) -> None:
    needed = re.search(r"<!-- needs: (.*) -->", page.read_text("utf-8"))
    missing = [name for name in (needed[1].split() if needed else ()) if not find_spec(name)]
    if missing:
        reason = f"{', '.join(missing).upper()} MISSING: THE CODE OF {page.name} IS NOT TESTED"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    _furnish(tmp_path, digits)
    done = subprocess.run(
        [sys.executable, run_page.__file__, str(page)],
        cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for line in re.findall(r"^.* MISSING: .*$", done.stderr, re.MULTILINE):
        warnings.warn(f"{page.name}: {line}", stacklevel=1)


def test_pages_that_run_elsewhere_do() -> None:
    for page, test in ELSEWHERE.items():
        assert page in (ROOT / test).read_text("utf-8")


def test_commands_that_install_are_left_out() -> None:
    text = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/onnx2genn \\\n  a.onnx\n"
    assert run_page.without_installing(text).split() == ["onnx2genn", "a.onnx"]
    assert run_page.without_installing("pip install 'onnx2genn[report]'\ntrue\n").split() == [
        "true"
    ]


def _furnish(folder: Path, digits: Example) -> None:
    names = {"model.onnx": digits.model, "train.npz": digits.train, "test.npz": digits.test}
    for name, source in {**names, **{path.name: path for path in names.values()}}.items():
        shutil.copy(source, folder / name)
    shutil.copytree(digits.model.parent, folder / "onnx2genn" / "examples")
    command = folder / "bin" / "onnx2genn"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m onnx2genn "$@"\n')
    command.chmod(0o755)


def _environment(folder: Path) -> dict[str, str]:
    """Let the command be found, and let Python leave the folder's ``onnx2genn`` alone."""
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONSAFEPATH": "1"}
