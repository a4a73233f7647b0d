"""The command line as a user meets it: output, files, exit status, messages without traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers.models import mlp
from helpers.onnx_models import model, node

from onnx2genn.cli import main

FIELDS = {
    "model", "coding", "steps", "latency_steps", "backend", "samples", "ann_accuracy",
    "forecast_accuracy", "snn_accuracy", "agreement", "accuracy_by_step", "spikes_per_sample",
    "sops_per_sample", "macs_per_sample", "samples_per_second", "populations",
}  # fmt: skip


def run(*words: object) -> int:
    """Run the command line; argparse leaves by an exception."""
    try:
        return main([str(word) for word in words])
    except SystemExit as leave:
        return int(leave.code or 0)


def test_the_main_job(digits: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, saved = tmp_path / "result.json", tmp_path / "digits.snn.onnx"
    status = run(
        digits.model, "--calibrate", digits.train, "--evaluate", digits.test,
        "--backend", "onnxruntime", "--json", result, "--save", saved,
    )  # fmt: skip
    out = capsys.readouterr().out
    record = json.loads(result.read_text())
    assert status == 0
    assert record.keys() >= FIELDS
    assert record["samples"] == len(digits.y_test)
    assert record["ann_accuracy"] >= 0.97
    assert abs(record["snn_accuracy"] - record["ann_accuracy"]) <= 0.004
    assert len(record["accuracy_by_step"]) == record["steps"]
    assert isinstance(record["populations"][0]["spikes"], int)
    assert out.index("ANN accuracy") < out.index("SNN accuracy")
    assert "onnxruntime: as asked" in out
    for population in record["populations"]:
        assert population["node"] in out.replace("\n", "")
        assert population["correlation"] > 0.99
    assert onnx.load(saved).metadata_props


def test_a_saved_network_gives_the_same_numbers(digits: Example, tmp_path: Path) -> None:
    first, second, saved = (tmp_path / name for name in ("a.json", "b.json", "snn.onnx"))
    common = ["--evaluate", digits.test, "--backend", "onnxruntime", "--limit", 100]
    assert run(
        digits.model, "--calibrate", digits.train, *common, "--save", saved, "--json", first
    ) == 0  # fmt: skip
    assert run(saved, *common, "--json", second) == 0
    a, b = (json.loads(path.read_text()) for path in (first, second))
    for record in (a, b):
        del record["samples_per_second"], record["model"]
    assert a == b


def test_the_fewest_steps_are_found(digits: Example, tmp_path: Path) -> None:
    steps = []
    for loss in (0.0, 0.05):
        result = tmp_path / f"{loss}.json"
        status = run(
            digits.model, "--calibrate", digits.train, "--evaluate", digits.test, "--limit", 10,
            "--backend", "onnxruntime", "--steps", "auto", "--loss", loss, "--json", result,
        )  # fmt: skip
        assert status == 0
        steps.append(json.loads(result.read_text())["steps"])
    assert 1 <= steps[1] < steps[0] <= 16


def test_options_of_the_coding_do_not_fit_a_saved_network(
    digits: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "snn.onnx"
    assert run(digits.model, "--save", saved, "--backend", "onnxruntime") == 0
    assert run(saved, "--steps", 4) == 2
    assert "a coding and thresholds of its own" in capsys.readouterr().err


def test_a_model_alone_says_that_thresholds_are_a_guess(
    digits: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(digits.model, "--backend", "onnxruntime") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "thresholds are a guess" in out
    assert "random inputs" in out


def test_check(digits: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(digits.model, "--check") == 0
    bad = model(
        [
            node("Hardmax", "x", "a", name="largest"),
            node("Relu", "a", "b"),
            node("GlobalAveragePool", "b", "c"),
            node("Hardmax", "c", "y", name="last"),
        ],
        {"x": ["N", 3, 4, 4]},
    )
    onnx.save(bad, tmp_path / "bad.onnx")
    capsys.readouterr()
    assert run(tmp_path / "bad.onnx", "--check") == 1
    error = capsys.readouterr().err
    assert "Hardmax 'largest' with input [3, 4, 4]" in error
    assert "Hardmax 'last'" in error
    assert "Traceback" not in error


def _write(folder: Path, name: str) -> Path:
    path = folder / name
    if name == "nan.npz":
        np.savez(path, x=np.full((4, 6), np.nan, np.float32), y=np.zeros(4, int))
    elif name == "labels.npz":
        np.savez(path, x=np.zeros((4, 6), np.float32), y=np.full(4, 9))
    elif name == "shape.npz":
        np.savez(path, x=np.zeros((4, 7), np.float32))
    elif name == "text.npz":
        path.write_text("nothing")
    return path


@pytest.mark.parametrize("option", ["--calibrate", "--evaluate"])
@pytest.mark.parametrize("name", ["nan.npz", "shape.npz", "text.npz", "missing.npz"])
def test_bad_data_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, name: str
) -> None:
    onnx.save(mlp(), tmp_path / "mlp.onnx")
    result = tmp_path / "result.json"
    status = run(tmp_path / "mlp.onnx", option, _write(tmp_path, name), "--json", result)
    assert status == 1
    assert capsys.readouterr().err.startswith("onnx2genn: error: ")
    assert not result.exists()


def test_labels_outside_the_classes_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(mlp(), tmp_path / "mlp.onnx")
    assert run(tmp_path / "mlp.onnx", "--evaluate", _write(tmp_path, "labels.npz")) == 1
    assert "the model has 3 classes" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256))])
def test_a_wrong_model_file_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(content)
    assert run(path) == 1
    assert "ONNX" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--coding", "none"],
        ["--steps", "0"],
        ["--coding", "few-spike", "--steps", "40"],
        ["--option", "reset=hard"],
        ["--option", "reset"],
        ["--coding", "rate", "--option", "seed=often"],
        ["--steps", "1.5"],
        ["--percentile", "200"],
        ["--backend", "none"],
    ],
)
def test_wrong_usage_has_status_2(
    digits: Example, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert run(digits.model, *words) == 2
    assert "error" in capsys.readouterr().err


def test_no_model_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "MODEL.onnx is missing" in capsys.readouterr().err


def test_results_that_cannot_be_written_are_found_out_first(
    digits: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(digits.model, "--json", tmp_path / "no" / "such.json") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_chance_is_said_to_be_the_data(
    digits: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shuffled.npz"
    np.savez(path, x=digits.x_test[:200], y=np.roll(digits.y_test[:200], 7))
    run(digits.model, "--calibrate", digits.train, "--evaluate", path, "--backend", "onnxruntime")
    assert "This is the data" in " ".join(capsys.readouterr().out.split())


def test_start_up_loads_nothing_heavy() -> None:
    code = (
        "import sys, onnx2genn, onnx2genn.cli\n"
        "try: onnx2genn.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'onnx', 'onnxruntime', 'pygenn', 'scipy', 'rich', 'torch', 'tensorflow'}\n"
        "sys.exit(bool(heavy & set(sys.modules)) and str(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--calibrate" in done.stdout


def test_the_doctor_says_what_genn_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--doctor") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "PyGeNN backend cuda" in out
    assert "auto takes" in out


def test_the_package_runs_as_a_module(digits: Example) -> None:
    words = [sys.executable, "-m", "onnx2genn", str(digits.model), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "can be converted" in done.stdout
