"""What the README says against the records, the codings and the command line."""

from __future__ import annotations

import re
import runpy
import sys
from typing import Any

import pytest
from conftest import ROOT, Example

from onnx2genn.cli import main
from onnx2genn.coding import CODINGS, make

README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The script that writes the results, which puts its folder on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        return runpy.run_path(str(ROOT / "scripts" / "pages" / "readme.py"))


def test_the_results_are_the_records(script: dict[str, Any]) -> None:
    for page in script["PAGES"]:
        text = page.read_text()
        assert script["written"](text, script["BLOCKS"]) == text, (
            "write them again: python scripts/pages/readme.py"
        )


def test_no_results_stand_outside_of_the_blocks(script: dict[str, Any]) -> None:
    results = README[README.index("\n## Results\n") : README.index("\n## GeNN\n")]
    benchmarks = (ROOT / "docs" / "benchmarks.md").read_text()
    for name in script["BLOCKS"]:
        block = f"<!-- {name}: .*?<!-- end -->"
        results, in_readme = re.subn(block, "", results, flags=re.DOTALL)
        benchmarks, beside = re.subn(block, "", benchmarks, flags=re.DOTALL)
        assert in_readme + beside, name
    results += benchmarks
    assert "|" not in results
    assert "<!--" not in results


def test_the_networks_of_the_tables_can_be_trained_or_were_given(script: dict[str, Any]) -> None:
    for network in script["NETWORKS"].values():
        if network.script:
            assert network.path.is_file()
            assert network.path.name in (ROOT / "scripts" / network.script).read_text()
        else:
            assert f"repository: {network.title}." in README.replace("\n", " ")


def test_the_example_prints_what_is_shown(
    digits: Example, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = re.search(r"```\n\$ onnx2genn (.*?)\n```", README, re.DOTALL)
    assert shown
    command, *lines = shown[1].splitlines()
    monkeypatch.chdir(digits.model.parent)
    assert main(command.split()) == 0
    printed = [_plain(line) for line in capsys.readouterr().out.splitlines()]
    at = -1
    for line in map(_plain, lines):
        if line == "...":
            continue
        start = line.removesuffix("...")
        found = [i for i, text in enumerate(printed) if i > at and text.startswith(start)]
        assert found, line
        at = found[0]


def test_the_codings_have_the_steps_that_are_shown() -> None:
    rows = re.findall(r"^\| `([\w-]+)`.* \| (\d+) \|$", README, re.MULTILINE)
    shown = {name: int(steps) for name, steps in rows if name in CODINGS}
    assert shown == {name: make(name).steps for name in CODINGS}


def _plain(line: str) -> str:
    """Leave out spaces at the ends and what draws the lines of tables."""
    return re.sub("[─-]{2,}", "--", line).strip()
