"""What several files say of the project, said alike."""

from __future__ import annotations

import re

from conftest import ROOT

PROJECT = (ROOT / "pyproject.toml").read_text()


def test_the_version_is_the_same_everywhere() -> None:
    version = re.search(r'^version = "(.*)"$', PROJECT, re.MULTILINE)
    assert version
    assert f"\nversion: {version[1]}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_the_supported_versions_of_python() -> None:
    versions = re.findall(r"Python :: (3\.\d+)", PROJECT)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    matrix = re.search(r"python: \[(.*)\]", workflow)
    assert matrix
    assert re.findall(r"[\d.]+", matrix[1]) == versions
    assert f'requires-python = ">={versions[0]}"' in PROJECT


def test_no_file_of_the_package_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "onnx2genn").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert not long


def test_links_within_the_repository_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
