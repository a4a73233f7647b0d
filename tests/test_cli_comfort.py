"""Completion by the shell, and what is shown while work goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Example

from onnx2genn.cli import main
from onnx2genn.stages import stage, watched


def completed(line: str, folder: Path) -> list[str]:
    """Ask for what the last word of a command line may become, as a shell does."""
    pytest.importorskip("argcomplete")
    read, write = os.pipe()
    environment = {
        **os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_TYPE": "9",
        "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SHELL": "bash",
    }  # fmt: skip
    script = f"exec 8>&{write} 9>/dev/null; exec '{sys.executable}' -m onnx2genn"
    subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, pass_fds=(write,), check=True
    )
    os.close(write)
    with os.fdopen(read) as found:
        return [word.strip() for word in found.read().split("\n")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("onnx2genn ", ["check", "doctor", "export", "compare", "sweep", "model.onnx"]),
        ("onnx2genn m", ["model.onnx"]),
        ("onnx2genn model.onnx --layout ", ["channels-first", "channels-last"]),
        ("onnx2genn model.onnx --calib", ["--calibrate"]),
        ("onnx2genn model.onnx --calibrate m", ["model.onnx"]),
        ("onnx2genn check model.onnx --tra", ["--trace"]),
        ("onnx2genn sweep --cod", ["--codings"]),
        ("onnx2genn sweep model.onnx --backend onnx", ["onnxruntime"]),
        ("onnx2genn compare --r", ["--report"]),
        ("onnx2genn export model.onnx out --coding few", ["few-spike"]),
    ],
)
def test_a_shell_completes(line: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    assert completed(line, tmp_path) == words


def test_a_terminal_sees_stages_and_counts(
    digits: Example, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(digits.model), "--calibrate", str(digits.train), "--backend", "onnxruntime"]
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main([*words, "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main(words) == 0
    shown = capsys.readouterr().err
    for what in ("reading the model", "pass 'unroll'", "choosing thresholds", "building"):
        assert what in shown
    assert "16/16" in shown


def test_stages_are_told_innermost_first() -> None:
    told: list[str] = []
    with watched(told.append), pytest.raises(KeyError), stage("a"), stage("b"):
        raise KeyError
    with stage("c"):
        pass
    assert told == ["a", "b", "a", ""]
