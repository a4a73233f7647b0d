"""The page on extending: what it shows of the repository stands there."""

from __future__ import annotations

import re
import runpy
import sys

import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text()


def test_the_files_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    script = runpy.run_path(str(ROOT / "scripts" / "pages" / "extending.py"))
    written = script["written"](PAGE, script["BLOCKS"])
    assert written == PAGE, "write it again: python scripts/pages/extending.py"


def test_what_the_diff_adds_stands_in_the_repository() -> None:
    (diff,) = re.findall(r"^```diff\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    files = [part.splitlines() for part in re.split(r"^--- .*\n", diff, flags=re.MULTILINE)[1:]]
    assert len(files) == 3
    for first, *changes in files:
        path = first.removeprefix("+++ b/")
        lines = (ROOT / path).read_text().splitlines()
        added = [line[1:] for line in changes if line.startswith("+")]
        assert added
        assert set(added) <= set(lines), path
