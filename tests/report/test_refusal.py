"""A model that does not convert as a page, and one that does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers.html_page import Page
from helpers.onnx_models import model, node

import onnx2genn
from onnx2genn.cli import main
from onnx2genn.errors import Problem
from onnx2genn.report import refusal


def long_model(nodes: int, refused: int) -> onnx.ModelProto:
    """A chain of Relu, one of which is an operator that is not converted."""
    names = ["x", *(f"t{i}" for i in range(nodes - 1)), "y"]
    made = [
        node("Hardmax" if i == refused else "Relu", names[i], names[i + 1], name=f"node{i}")
        for i in range(nodes)
    ]
    return model(made, {"x": ["N", 4]})


@pytest.mark.parametrize(("nodes", "shown"), [(5, 6), (300, 5)])
def test_refused_nodes_are_marked(
    nodes: int, shown: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proto, at = long_model(nodes, 3), "node3"
    path, page = tmp_path / "model.onnx", tmp_path / "page.html"
    onnx.save(proto, path)
    assert main(["check", str(path), "--report", str(page)]) == 1
    found = Page(page.read_text("utf-8"))
    boxes = [value for value in found.values("class") if value.startswith("box")]
    assert len(boxes) == shown
    assert boxes.count("box poor") == 1
    assert "cannot be converted: 1 problem." in found.text
    assert ("Only what is near" in found.text) == (nodes > shown)
    (problem,) = onnx2genn.check(path)
    assert problem.node == at
    assert problem.reason in found.text
    assert problem.advice in found.text


@pytest.mark.parametrize(
    ("named", "marked"),
    [
        ("node1", "node1"),
        ("node1/DequantizeLinear_0", "node1"),
        ("t0", "node0"),  # the tensor of a node without a name of its own
        ("t0/Where_2", "node0"),
        ("x", "x"),
        ("other/Relu", None),
    ],
)
def test_what_passes_have_renamed_is_marked(named: str, marked: str | None) -> None:
    problem = Problem(node=named, operator="Where", reason="it is so.", advice="Do not.")
    page = refusal.refused(long_model(4, 3), [problem, problem], "model", {})
    found = Page(page)
    red = [place for place, (_, a) in enumerate(found.tags) if a.get("class") == "box poor"]
    assert len(red) == (marked is not None)
    assert (f"{marked}: it is so. it is so." in found.text) == (marked is not None)


def test_whole_numbers_that_are_written_anew_are_marked(tmp_path: Path) -> None:
    scale, zero = np.float32(0.1), np.uint8(0)
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("QLinearMatMul", "q s z q s z s z", "m", name="product"),
        node("DequantizeLinear", "m s z", "d"),
        node("Hardmax", "d", "h"),
        node("MatMul", "d h", "y"),
    ]
    proto = model(nodes, {"x": ["N", 4, 4]}, {"s": np.asarray(scale), "z": np.asarray(zero)})
    problems = onnx2genn.check(proto)
    assert problems
    found = Page(refusal.refused(proto, problems, "model", {}))
    assert found.values("class").count("box poor") == len({item.node for item in problems})


def test_what_can_be_converted_is_shown(digits: Example, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main([str(digits.model), "--check", "--report", str(page)]) == 0
    found = Page(page.read_text("utf-8"))
    assert "can be converted: 1,600 neurons in 3 populations" in found.text
    assert sum(value.startswith("box") for value in found.values("class")) == 5


def test_every_zoo_of_the_tests_is_drawn(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "models" / "digits_vit.onnx"
    page = tmp_path / "page.html"
    assert main(["check", str(path), "--report", str(page)]) == 0
    Page(page.read_text("utf-8"))
    assert np.isfinite(page.stat().st_size)
