"""Figures and numbers as files, and what one sample lets neurons do."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Example
from helpers.html_page import Page

import onnx2genn
from onnx2genn import DataError, Evaluation, SpikingNetwork
from onnx2genn.cli import main
from onnx2genn.report import figures, html
from onnx2genn.report.raster import Shown

NODE = "sequential_1/dense_1/Relu"


@pytest.fixture(scope="module")
def network(digits: Example) -> SpikingNetwork:
    return onnx2genn.convert(digits.model, digits.x_train, "signed", steps=12)


@pytest.fixture(scope="module")
def evaluation(network: SpikingNetwork, digits: Example) -> Evaluation:
    return network.evaluate(digits.x_test[:60], digits.y_test[:60], backend="onnxruntime")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("painter", [True, False])
def test_a_command_writes_all(
    painter: bool,
    digits: Example,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if painter:
        pytest.importorskip("resvg_py")
    else:
        monkeypatch.setitem(sys.modules, "resvg_py", None)
    folder = tmp_path / "figures"
    words = [str(digits.model), "--calibrate", str(digits.train), "--evaluate", str(digits.test)]
    words += ["--limit", "50", "--backend", "onnxruntime", "--raster", "7"]
    words += ["--membrane", f"{NODE}=3,5", "--figures", str(folder)]
    assert main(words) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert ("onnx2genn[figures]" in printed) != painter
    drawn = sorted(folder.glob("*.svg"))
    assert len(drawn) == 1 + 1 + 3 + 1 + 2  # over time, network, activations, raster, potentials
    for path in drawn:
        root = ElementTree.fromstring(path.read_text("utf-8"))
        assert float(root.attrib["width"]) > 0
        assert "var(" not in path.read_text("utf-8")
        assert path.with_suffix(".png").exists() == painter
    record = json.loads((folder / "result.json").read_text())
    found = rows(folder / "populations.csv")
    assert [int(item["spikes"]) for item in found] == [
        item["spikes"] for item in record["populations"]
    ]
    steps = [float(item["accuracy"]) for item in rows(folder / "steps.csv")]
    assert steps == record["accuracy_by_step"]
    counts = [int(item["activations"]) for item in rows(folder / "activations.csv")]
    assert sum(counts) == 50 * 1600
    assert float(rows(folder / "scores.csv")[0]["snn"]) == record["snn_accuracy"]


def test_every_spike_of_a_sample_is_drawn(
    network: SpikingNetwork, evaluation: Evaluation, digits: Example
) -> None:
    (recording,) = network.simulate(digits.x_test[4:5], backend="onnxruntime")
    drawn = Shown(recording=recording, sample=4).raster(evaluation)
    dense = drawn.bands[-1]
    name = network.populations[-1].name
    shown = np.unique(np.linspace(0, 63, 48).round())
    events = recording.spikes[name]
    marked = events.value[np.isin(events.neuron, shown)]
    assert dense.shown == 48 < dense.neurons == 64
    assert dense.spikes.count("M") == (marked > 0).sum() > 0
    assert dense.negative.count("M") == (marked < 0).sum() > 0
    starts = [network.coding.window_start(item.depth) for item in network.populations]
    order = np.argsort([band.x for band in drawn.bands])
    assert np.array_equal(order, np.argsort(starts))
    assert "Spikes of sample 4" in html.page(evaluation, shown=Shown(recording=recording, sample=4))


def test_potentials_of_neurons(
    network: SpikingNetwork, evaluation: Evaluation, digits: Example, tmp_path: Path
) -> None:
    (recording,) = network.simulate(digits.x_test[:1], membrane=[NODE], backend="onnxruntime")
    name = network.populations[-1].name
    (trace,) = Shown(recording=recording, sample=0, neurons={NODE: [9]}).traces(evaluation)
    potential = recording.potentials[name][0, :, 9]
    heights = np.array([float(point.split(",")[1]) for point in trace.line.split()])
    assert len(heights) == 12
    assert np.corrcoef(heights, potential)[0, 1] == pytest.approx(-1, abs=1e-4)
    fired = (recording.spikes[name].neuron == 9).sum()
    assert trace.spikes.count("M") == fired
    path = tmp_path / "page.html"
    evaluation.report(path, recording=recording, neurons={name: [1, 2]}, figures=tmp_path / "f")
    assert Page(path.read_text("utf-8")).text.count(f"{NODE}, neuron") == 2
    assert len(list((tmp_path / "f").glob("potential-*.svg"))) == 2
    for neurons, message in (({NODE: [64]}, "no neuron 64"), ({"a": [1]}, "population 'a'")):
        with pytest.raises(DataError, match=message):
            evaluation.report(path, recording=recording, neurons=neurons)


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["--raster", "16", "--figures", "f"], 1, "there are 16 samples"),
        (["--raster", "1"], 2, "--raster needs"),
        (["--figures", "f", "--membrane", "a=1"], 2, "--membrane needs --raster"),
        (["--raster", "1", "--figures", "f", "--membrane", "a=1"], 1, "no population 'a'"),
        (["--raster", "1", "--figures", "f", "--membrane", f"{NODE}=64"], 1, "64 neurons"),
        (["--figures", "no/such/place"], 1, "cannot be written"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_the_work(
    words: list[str],
    status: int,
    reason: str,
    digits: Example,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        found = main([str(digits.model), *words])
    except SystemExit as end:
        found = int(end.code or 0)
    assert found == status
    printed = capsys.readouterr()
    assert reason in printed.err
    assert "Backend" not in printed.out


def test_names_of_figures_are_names_of_files() -> None:
    figure = '<figure data-figure="{}">\n<svg viewBox="0 0 2 3"><text>&lt;</text></svg>'
    page = "".join(figure.format(name) for name in ("a/b", "a b", "../&#34;", ""))
    assert [name for name, _ in figures.figures(page)] == ["a_b", "a_b_", "figure", "figure_"]
