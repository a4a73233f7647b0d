"""The command line as a user meets it: output, files, exit status, messages without traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers.models import mlp
from helpers.onnx_models import model, node

import onnx2genn
from onnx2genn.api import examine
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


def test_digits_of_a_population(
    digits: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.toml"
    config.write_text('steps = 6\n[digits]\n"sequential_1/conv2d_1/Relu" = 5\n')
    words = [digits.model, "--calibrate", digits.train, "--evaluate", digits.test, "--limit", 10]
    node, page = "sequential_1/dense_1/Relu", tmp_path / "page.html"
    more = ["--digits", f"{node}=3", "--config", config, "--backend", "onnxruntime"]
    result = tmp_path / "found.json"
    assert run(*words, *more, "--json", result, "--report", page) == 0
    found = json.loads(result.read_text())["populations"]
    assert [item["digits"] for item in found] == [5, 6, 3]
    said = "2 of 3 populations have 3 .. 5 of 6 digits"
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in page.read_text("utf-8")
    for wrong in (["--digits", "nothing=3"], ["--digits", f"{node}=9"], ["--digits", node]):
        assert run(*words, "--steps", 6, *wrong) == 2
    assert run(*words, "--steps", "auto", "--digits", f"{node}=1") == 2


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "snn.onnx"
    onnx2genn.convert(mlp()).save(path)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["--steps", 4], ["--coding", "rate"], ["--output", "y"], ["--loss", 0.1], ["--trace"],
        ["--threshold", "max"], ["--percentile", 99], ["--option", "bits=2"],
        ["--calibrate", "x.npz"],
    ],
)  # fmt: skip
def test_options_of_the_coding_do_not_fit_a_saved_network(
    saved: Path, capsys: pytest.CaptureFixture[str], words: list[object]
) -> None:
    assert run(saved, *words) == 2
    error = capsys.readouterr().err
    assert f"{words[0]} has no effect on a saved spiking network" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check", "--save", "s"], "--save has no effect with --check"),
        (["--check", "--json", "j"], "--json has no effect"),
        (["--check", "--steps", "4"], "--steps has no effect"),
        (["--check", "--backend", "onnxruntime"], "--backend has no effect"),
        (["--check", "--seed", "0"], "--seed has no effect"),
        (["--doctor"], "MODEL.onnx has no effect with --doctor"),
        (["--doctor", "--check"], "--check has no effect with --doctor"),
        (["--loss", "0.1"], "--loss needs --steps auto"),
        (["--loss", "0.1", "--steps", "4"], "--loss needs --steps auto"),
        (["--loss", "-1", "--steps", "auto", "--calibrate", "x.npz"], "from 0 on"),
        (["--metric", "f1"], "no metric 'f1'; choose accuracy"),
        (["--check", "--metric", "iou"], "--metric has no effect"),
        (["--limit", "4"], "--limit needs --evaluate"),
        (["--percentile", "99"], "--percentile needs --threshold percentile"),
        (["--option", "percentile=99"], "--percentile needs --threshold percentile"),
        (["--percentile", "99", "--threshold", "max"], "--percentile needs"),
        (["--percentile", "nan", "--threshold", "percentile"], "percentile"),
        (["--steps", "6", "--option", "steps=5"], "steps is given twice"),
        (["--threshold", "max", "--option", "threshold=mse"], "threshold is given twice"),
        (["--option", "bits=2", "--option", "bits=3"], "bits= is given twice"),
        (["--coding", "rate", "--seed", "1", "--option", "seed=2"], "seed is given twice"),
        (["--seed", "1", "--evaluate", "x.npz"], "--seed has no effect"),
        (["--seed", "-1"], "whole number from 0 on"),
        (["--save", ""], "empty"),
        (["--json", ""], "empty"),
        (["--calibrate", ""], "empty"),
        (["--evaluate", ""], "empty"),
        (["--output", ""], "empty"),
        (["--save", "same", "--json", "./same"], "--json would replace --save"),
        (["--evaluate", "x.npz", "--json", "x.npz"], "--json would replace --evaluate"),
    ],
)
def test_options_without_effect_are_wrong_usage(
    digits: Example,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(digits.model, *words) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_result_does_not_replace_the_model(saved: Path) -> None:
    before = saved.read_bytes()
    assert run(saved, "--save", saved) == 2
    assert saved.read_bytes() == before


def test_no_model_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("") == 2
    assert run("--doctor", "--json", "j") == 2
    assert "--json has no effect with --doctor" in capsys.readouterr().err


def test_an_option_that_has_an_effect_is_taken(digits: Example, tmp_path: Path) -> None:
    common = ["--calibrate", digits.train, "--backend", "onnxruntime", "--coding"]
    for index, words in enumerate(
        (
            ["rueckauer", "--steps", 4, "--percentile", 90],
            ["diehl", "--steps", 4, "--seed", 3, "--evaluate", digits.test, "--limit", 10],
            ["few-spike", "--seed", 3],
        )
    ):
        assert run(digits.model, *common, *words, "--json", tmp_path / f"{index}.json") == 0


def test_the_trace_has_a_line_for_each_step(
    digits: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--check"], ["--backend", "onnxruntime"]):
        assert run(digits.model, "--trace", *words) == 0
        out = capsys.readouterr().out
        for line in examine(digits.model).trace:
            assert line.split(":")[0] in out


def test_the_check_says_what_converting_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Open sizes come from the samples."""
    nodes = [node("Sigmoid", "x", "s"), node("GlobalAveragePool", "s", "g")]
    nodes.append(node("Flatten", "g", "y"))
    path, data = tmp_path / "open.onnx", tmp_path / "x.npz"
    onnx.save(model(nodes, {"x": ["N", 3, "H", "W"]}), path)
    np.savez(data, x=np.random.default_rng(0).random((5, 3, 6, 7), dtype=np.float32))
    for words in ([], ["--check"]):
        assert run(path, *words) == 1
        assert "its shape is" in capsys.readouterr().err
        assert run(path, "--calibrate", data, *words) == 0
        assert run(path, "--calibrate", data, "--coding", "rate", *words) == 0
        np.savez(tmp_path / "bad.npz", x=np.zeros((5, 4, 6, 7), np.float32))
        assert run(path, "--calibrate", tmp_path / "bad.npz", *words) == 1
    assert run(path, "--check", "--calibrate", data, "--output", "none") == 1


def test_a_saved_network_is_checked_as_such(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(saved, "--check") == 0
    assert "is a saved spiking network" in capsys.readouterr().out
    proto = onnx.load(saved)
    del proto.graph.initializer[-1]
    onnx.save(proto, tmp_path / "damaged.onnx")
    for words in (["--check"], []):
        assert run(tmp_path / "damaged.onnx", *words) == 1
        assert "damaged" in capsys.readouterr().err


def test_results_survive_a_closed_output(digits: Example, tmp_path: Path) -> None:
    """``onnx2genn ... | head -0`` closes the output before anything is printed."""
    result, network = tmp_path / "r.json", tmp_path / "s.onnx"
    words = [str(digits.model), "--backend", "onnxruntime", "--json", str(result)]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "onnx2genn", *words, "--save", str(network)],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(result.read_text())["samples"] == 16
    onnx2genn.load(network)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_full_output_is_said(digits: Example, tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    words = [str(digits.model), "--backend", "onnxruntime", "--json", str(result)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "onnx2genn", *words],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert "output is lost" in done.stderr
    assert "Traceback" not in done.stderr
    assert result.exists()


def test_results_to_nowhere(digits: Example) -> None:
    words = ["--json", os.devnull, "--save", os.devnull, "--backend", "onnxruntime"]
    assert run(digits.model, *words) == 0
    assert Path(os.devnull).is_char_device()


def test_brackets_in_names_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [node("Relu", "x", "r", name="block[a]/relu"), node("MatMul", "r w", "[b]y")]
    weights = {"w": np.eye(3, dtype=np.float32)}
    path = tmp_path / "[c].onnx"
    onnx.save(model(nodes, {"x": ["N", 3]}, weights, outputs=["[b]y"]), path)
    assert run(path, "--backend", "onnxruntime") == 0
    out = capsys.readouterr().out
    assert out.count("block[a]/relu") == 2
    assert "[b]y" in out
    assert "[c].onnx" in out.replace("\n", "")


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
            node("Bernoulli", "x", "a", name="largest"),
            node("Relu", "a", "b"),
            node("GlobalAveragePool", "b", "c"),
            node("Bernoulli", "c", "y", name="last"),
        ],
        {"x": ["N", 3, 4, 4]},
    )
    onnx.save(bad, tmp_path / "bad.onnx")
    capsys.readouterr()
    assert run(tmp_path / "bad.onnx", "--check") == 1
    error = capsys.readouterr().err
    assert "Bernoulli 'largest' with input [3, 4, 4]" in error
    assert "Bernoulli 'last'" in error
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
        ["--option", "coding=rate"],
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
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    for place in (tmp_path / "no" / "such.json", circle):
        assert run(digits.model, "--json", place) == 1
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


def test_sizes_that_the_model_leaves_open_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [node("Relu", "image", "r"), node("GlobalAveragePool", "r", "y")]
    path = tmp_path / "open.onnx"
    onnx.save(model(nodes, {"image": ["N", 3, "H", "W"]}), path)
    assert main([str(path), "--check"]) == 1
    assert "--input-shape image=" in capsys.readouterr().err
    assert main([str(path), "--check", "--input-shape", "image=3,6,7"]) == 0
    assert main([str(path), "--input-shape", "image=3,6,7"]) == 0
    assert main([str(path), "--check", "--input-shape", "picture=3,6,7"]) == 1
    assert "'picture'" in capsys.readouterr().err
    assert main([str(path), "--check", "--input-shape", "image=5,6,7"]) == 1
    assert "[5, 6, 7]" in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"onnx2genn {onnx2genn.__version__}\n"
