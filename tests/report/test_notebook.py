"""What notebooks show of networks and evaluations."""

from __future__ import annotations

from dataclasses import replace

from conftest import Example
from helpers.html_page import Page

import onnx2genn


def test_a_network_and_an_evaluation_are_tables(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train, steps=1)
    found = network.evaluate(digits.x_test[:50], digits.y_test[:50], backend="onnxruntime")
    for text in (network._repr_html_(), found._repr_html_()):
        page = Page(text)
        for item in network.populations:
            assert item.node.name in page.text
    assert "ANN and SNN part" in Page(found._repr_html_()).text


def test_names_are_data(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train[:100])
    found = network.evaluate(digits.x_test[:10], backend="onnxruntime")
    hostile = replace(found, populations=[replace(found.populations[0], node="<script>")] * 50)
    text = hostile._repr_html_()
    assert "<script>" not in text
    assert "and 10 more" in Page(text).text
