"""The page on the architecture against the pipeline, the layers and the folders."""

from __future__ import annotations

import re
import runpy
import sys
from typing import Any

import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGE = ROOT / "onnx2genn"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The script that follows a graph, which puts its folder on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        return runpy.run_path(str(ROOT / "scripts" / "pages" / "architecture.py"))


def test_the_graph_is_followed_as_it_is_now(script: dict[str, Any]) -> None:
    written = script["written"](PAGE, script["BLOCKS"])
    assert written == PAGE, "write it again: python scripts/pages/architecture.py"
    assert all(f"<!-- {name}: " in PAGE for name in script["BLOCKS"])


def test_the_layers_are_those_that_import_linter_holds() -> None:
    settings = (ROOT / "pyproject.toml").read_text()
    found = re.search(r"\nlayers = \[\n(.*?)\n\]", settings, re.DOTALL)
    assert found
    held = re.findall(r"\w+", found[1])
    layers = PAGE[PAGE.index("| layer |") : PAGE.index("\n\n", PAGE.index("| layer |"))]
    shown = [name for row in re.findall(r"^\| (`.*?) \|", layers, re.MULTILINE)
             for name in re.findall(r"\w+", row)]  # fmt: skip
    assert shown == [name for name in held if name != "__main__"]
    modules = {item.stem for item in PACKAGE.iterdir() if item.suffix == ".py" or item.is_dir()}
    assert set(held) == modules - {"__init__", "__pycache__", "examples", "py"}
