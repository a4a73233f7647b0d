"""The site builds without a warning: every page is in it, and every link and name is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

MISSING = [
    name for name in ("mkdocs", "material", "mkdocstrings", "latex2mathml") if not find_spec(name)
]


@pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} IS MISSING: THE SITE IS NOT BUILT")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "api" / "index.html").read_text("utf-8")
    for name in ("convert", "SpikingNetwork", "predict", "Evaluation", "Problem"):
        assert name in page
    codings = (tmp_path / "codings" / "index.html").read_text("utf-8")
    assert codings.count("<math") == codings.count("</math>") > 20
    assert "arithmatex" not in codings
    scripts = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]*)"', codings)
    assert scripts == []


def test_every_page_is_in_the_site() -> None:
    listed = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f" {page.name}\n" in listed, f"{page.name} is not in the nav of mkdocs.yml"
