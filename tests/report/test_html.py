"""The report: a page that is well formed, whole, and loads nothing."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Example
from helpers import architectures
from helpers.html_page import Page
from helpers.models import mlp

import onnx2genn
from onnx2genn import DataError, Evaluation
from onnx2genn.cli import main
from onnx2genn.evaluate.deviation import Deviation
from onnx2genn.evaluate.result import Difference
from onnx2genn.report import html
from onnx2genn.report.chart import chart
from onnx2genn.report.energy import energies
from onnx2genn.report.layout import HEIGHT, WIDTH, layout

HOSTILE = """"><script src='https://example.org/x.js'>alert(1)</script>{{ 7 * 7 }}&amp;</title>"""


@pytest.fixture(scope="module")
def evaluation(digits: Example) -> Evaluation:
    network = onnx2genn.convert(digits.model, digits.x_train)
    return network.evaluate(digits.x_test[:100], digits.y_test[:100], backend="onnxruntime")


@pytest.fixture(scope="module")
def branching() -> Evaluation:
    """A network with branches and ways around layers."""
    x = np.random.default_rng(0).random((8, 3, 8, 8), dtype=np.float32)
    network = onnx2genn.convert(architectures.densenet(), x, steps=4)
    return network.evaluate(x, backend="onnxruntime")


def test_the_page_of_the_command(digits: Example, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    words = [
        str(digits.model), "--calibrate", str(digits.train), "--evaluate", str(digits.test),
        "--backend", "onnxruntime", "--limit", "100", "--report", str(path),
    ]  # fmt: skip
    assert main(words) == 0
    page = Page(path.read_text("utf-8"))
    assert " ".join(["onnx2genn", *words]) in page.text
    assert "keeps the accuracy of the ANN" in page.text
    for package in ("numpy", "onnxruntime"):
        assert package in page.text


@pytest.mark.parametrize("name", ["evaluation", "branching"])
def test_every_population_is_in_the_picture_and_in_the_table(
    name: str, request: pytest.FixtureRequest
) -> None:
    found: Evaluation = request.getfixturevalue(name)
    page = Page(html.page(found))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for target in page.values("href"):
        assert target.startswith("#")
        assert target[1:] in ids
    rows = len(found.projections) + len(found.inputs)
    for kind in ("row", "box"):
        assert sum(item.startswith(f"{kind}-") for item in ids) == rows
    relays = len(found.projections) - len(found.populations) - 1
    assert relays and page.text.count("_relay_") >= 2 * relays
    for item in found.populations:
        assert page.text.count(item.node) >= 2
        assert f"{item.neurons:,} neurons" in page.text


def test_the_page_loads_nothing(evaluation: Evaluation, branching: Evaluation) -> None:
    for found in (evaluation, branching):
        text = html.page(found)
        page = Page(text)
        assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"}
        assert page.values("src") == []
        assert "http" not in re.sub(r"http-equiv", "", text)
        assert "@import" not in text


def test_names_are_data(evaluation: Evaluation) -> None:
    first, *others = evaluation.populations
    hostile = replace(
        evaluation, model=HOSTILE, populations=[replace(first, node=HOSTILE), *others]
    )
    text = html.page(hostile, {"command": HOSTILE})
    page = Page(text)
    assert "<script" not in text
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(HOSTILE) >= 4


def test_a_file_name_that_is_no_text_is_written(evaluation: Evaluation, tmp_path: Path) -> None:
    html.write(evaluation, tmp_path / "page.html", {"command": "\udcff.onnx \u202e"})
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "\\udcff.onnx \\u202e" in text
    assert "\u202e" not in text


def test_without_jinja2_the_message_says_what_to_install(
    evaluation: Evaluation,
    digits: Example,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(DataError, match=r"pip install 'onnx2genn\[report\]'"):
        evaluation.report(tmp_path / "page.html")
    assert main([str(digits.model), "--report", str(tmp_path / "page.html")]) == 1
    printed = capsys.readouterr()
    assert "pip install 'onnx2genn[report]'" in printed.err
    assert "Converted" not in printed.out
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        evaluation.report(tmp_path / "none" / "page.html")


def test_facts_are_told(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.report(tmp_path / "page.html", data="one hundred digits", seed=7)
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert "one hundred digits" in page.text


def scored(evaluation: Evaluation, **changes: object) -> Evaluation:
    """Change the score of the only output."""
    return replace(evaluation, scores=[replace(evaluation.score, **changes)])


@pytest.mark.parametrize(
    ("by_step", "within"),
    [
        ([0.5, 0.895, 0.8995, 0.9], (2, 3)),
        ([0.9, 0.5, 0.9, 0.9], (3, 3)),
        ([0.9, 0.9, 0.9, 0.895], (1, None)),
        ([0.1, 0.1, 0.1, 0.1], (None, None)),
        ([0.95, 0.95, 0.95, 0.95], (1, 1)),
    ],
)
def test_the_ann_is_reached_where_the_snn_stays(
    evaluation: Evaluation, by_step: list[float], within: tuple[int | None, ...]
) -> None:
    found = scored(evaluation, by_step=by_step, ann=0.9)
    assert tuple(item.step for item in chart(found).reached) == within
    Page(html.page(found))


@pytest.mark.parametrize("steps", [1, 2, 41, 2500])
def test_any_length_of_a_window_is_drawn(evaluation: Evaluation, steps: int) -> None:
    found = chart(scored(evaluation, by_step=[0.5] * steps))
    places = [float(point.split(",")[0]) for point in found.line.split()]
    assert len(places) == steps
    assert places == sorted(places)
    assert 38 <= places[0] <= places[-1] <= 408
    assert 1 <= len(found.ticks) <= 12


def test_without_labels_the_agreement_is_told(branching: Evaluation) -> None:
    text = Page(html.page(branching)).text
    assert "Without labels it is not known" in text
    assert "SNN accuracy" not in text


def test_samples_answered_differently_are_told(evaluation: Evaluation) -> None:
    assert "answered differently" not in Page(html.page(evaluation)).text
    some = [Difference(sample=12345, label=None, ann=1, snn=2, margin=0.25)]
    found = replace(scored(evaluation, to_ann=0.98), differences=some)
    found = replace(found, confusion=[(1, 2, 54321)])
    text = Page(html.page(found)).text
    assert "The first 1 of 2" in text
    assert "54,321" in text
    assert "12345" in text
    assert "0.25" in text


def test_boxes_keep_apart_and_lines_go_down(branching: Evaluation) -> None:
    found = layout(branching.inputs, branching.projections)
    boxes = list(found.boxes.values())
    assert len(boxes) == len(branching.projections) + len(branching.inputs)
    for index, (left, top) in enumerate(boxes):
        assert 0 <= left <= found.width - WIDTH
        assert 0 <= top <= found.height - HEIGHT
        for other, above in boxes[:index]:
            assert abs(left - other) >= WIDTH or abs(top - above) >= HEIGHT
    assert len(found.lines) == sum(len(item.sources) for item in branching.projections)
    for source, target, _ in found.lines:
        assert found.boxes[source][1] < found.boxes[target][1]


def test_energy_is_what_the_operations_take(evaluation: Evaluation) -> None:
    found = replace(evaluation, sops_per_sample=1000.0, macs_per_sample=2000)
    currents = evaluation.projections[0].current_macs
    assert currents == 64 * 9 * 16
    assert sum(item.current_macs for item in evaluation.projections) == currents
    floating, _, chip, _ = energies(found)
    assert floating.snn == pytest.approx(1000 * 0.9 + currents * 4.6)
    assert floating.ann == pytest.approx(2000 * 4.6)
    neurons = sum(item.neurons for item in evaluation.populations)
    assert chip.snn == pytest.approx(1000 * 23.6 + neurons * evaluation.steps * 52)
    assert chip.ann is None


def test_a_poor_population_is_marked(evaluation: Evaluation) -> None:
    first, *others = evaluation.populations
    broken = replace(
        evaluation,
        populations=[
            replace(
                first,
                correlation=0.5,
                saturated=0.4,
                deviation=Deviation(error=0.9, clipping=0.8, largest=2.0, top=0.1),
            ),
            *others,
        ],
    )
    text = html.page(broken)
    assert "hresholds are too low" in Page(text).text
    assert text.count('class="box poor"') == 1
    assert text.count('class="bad"') == 2
    assert html.page(evaluation).count('class="bad"') == 0


def test_a_poisson_input_has_no_current() -> None:
    x = np.random.default_rng(0).random((8, 6), dtype=np.float32)
    network = onnx2genn.convert(mlp(), x, "diehl", steps=20, input="poisson")
    found = network.evaluate(x, backend="onnxruntime")
    assert all(item.current_macs == 0 for item in found.projections)
    assert found.projections[0].sops > 0
    assert found.sops_per_sample == sum(item.sops for item in found.projections)
    Page(html.page(found))
