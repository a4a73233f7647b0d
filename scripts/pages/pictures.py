"""Draw the pictures of the README and of the site: the idea, and what the report looks like.

    python scripts/pages/pictures.py

writes ``docs/idea.svg`` and ``docs/report.svg``. The second is the report's own drawing, of the
example of the package. Needs jinja2.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common import DOCS, EXAMPLES
from onnx2genn.report import html, scores

_COLOURS = """
text { fill: #1c2024; font: 12px system-ui, sans-serif; text-anchor: middle; }
.small { fill: #5d6670; font-size: 11px; } .left { text-anchor: start; }
.affine { fill: #eef1f4; stroke: #5d6670; } .spiking { fill: #dbe9fb; stroke: #0b62c4; }
.way { stroke: #5d6670; stroke-width: 1.5; fill: none; }
.spike { stroke: #0b62c4; stroke-width: 2; }
.bracket { stroke: #5d6670; fill: none; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
text { fill: #e6e9ec; } .small { fill: #9aa4ae; } .affine { fill: #2a3036; stroke: #9aa4ae; }
.spiking { fill: #1d3350; stroke: #6cb0ff; } .way, .bracket { stroke: #9aa4ae; }
.spike { stroke: #6cb0ff; } }
"""
_ONNX = ("Conv", "BatchNorm", "Relu", "AvgPool", "Conv", "Relu", "Flatten", "Gemm")
_SPIKING = "Relu"
_STEP, _BOX, _LEFT = 92, 78, 62
_TRAINS = ((1, 0, 1, 1, 0, 0, 1, 0), (0, 1, 1, 0, 1, 0, 0, 1))


def idea() -> str:
    """Draw an ONNX graph above the populations and affine maps that it becomes."""
    width = _LEFT + _STEP * len(_ONNX) + 58
    parts = [_label(8, 22, "ONNX graph", "left"), _label(8, 132, "spiking network", "left")]
    groups: list[tuple[int, int]] = []
    start = 0
    for index, op in enumerate(_ONNX):
        x = _LEFT + index * _STEP
        parts += [_box(x, 34, _BOX, op, "spiking" if op == _SPIKING else "affine")]
        parts += [_way(x - (_STEP - _BOX), x, 52)]
        if op == _SPIKING:
            groups.append((start, index))
            start = index + 1
    groups.append((start, len(_ONNX)))
    end = _LEFT + len(_ONNX) * _STEP - (_STEP - _BOX)
    parts += [_way(end, end + 14, 52), _way(end, end + 14, 162), _label(width - 34, 56, "logits")]
    parts += [_label(_LEFT - 32, 56, "x"), _label(_LEFT - 32, 166, "x")]
    for number, (first, last) in enumerate(groups):
        left, right = _LEFT + first * _STEP, _LEFT + last * _STEP - (_STEP - _BOX)
        middle = (left + right) / 2
        parts.append(f'<path class="bracket" d="M{left} 76v8H{right}v-8M{middle} 84v60"/>')
        parts.append(_box(left, 144, right - left, "affine map  A x + b", "affine"))
        parts.append(_way(left - (_STEP - _BOX), left, 162))
        if number < len(_TRAINS):
            x = right + _STEP - _BOX
            parts.append(f'<path class="bracket" d="M{x + _BOX / 2} 70v74"/>')
            parts.append(_box(x, 144, _BOX, "population", "spiking"))
            parts.append(_way(right, x, 162))
            parts += [
                f'<path class="spike" d="M{x + 8 + 9 * step} 206v-14"/>'
                for step, fires in enumerate(_TRAINS[number])
                if fires
            ]
            parts.append(_label(int(x + _BOX / 2), 222, "spikes over T steps", "small"))
    parts.append(_label(width - 34, 166, "logits"))
    return _picture(width, 232, parts, _COLOURS, "An ONNX graph and the spiking network it becomes")


def report() -> str:
    """Draw the head of the report: the verdict, accuracy over time and the network."""
    network = onnx2genn.convert(EXAMPLES / "digits.onnx", EXAMPLES / "digits_train.npz")
    with np.load(EXAMPLES / "digits_test.npz") as data:
        found = network.evaluate(data["x"], data["y"], backend="onnxruntime")
    page = html.page(found, {"model": "digits.onnx"})
    (style,) = re.findall(r"<style>\n(.*?)</style>", page, re.DOTALL)
    (chart,) = re.findall(r'<svg class="chart".*?</svg>', page, re.DOTALL)
    (graph,) = re.findall(r'<figure class="graph"[^>]*>\s*(<svg.*?</svg>)', page, re.DOTALL)
    verdict = textwrap.wrap(scores.verdict(found), 62)
    lines = [
        f'<text x="20" y="{34 + 24 * index}" style="font-size:18px">{escape(line)}</text>'
        for index, line in enumerate(verdict)
    ]
    top = 30 + 24 * len(verdict)
    wide, high = (float(item) for item in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', graph)[0])
    height = max(top + 330, top + int(high) + 20)
    ground = '<rect width="100%" height="100%" rx="8" style="fill:var(--ground)"/>'
    drawings = _placed(chart, 16, top, 540, 304), _placed(graph, 590, top, wide, high)
    parts = [ground, *lines, *drawings]
    return _picture(int(610 + wide), height, parts, style, "The head of a report")


def _placed(svg: str, x: float, y: float, width: float, height: float) -> str:
    """Put a drawing of the page into a place of the picture."""
    inner = re.sub(r'\b(width|height|role|aria-label)="[^"]*" ?', "", svg.split(">", 1)[0])
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    body = re.sub(r'<a (class="[^"]*")[^>]*>', r"<g \1>", svg.split(">", 1)[1])
    return f"{inner} {place}>{body.replace('</a>', '</g>')}"


def _picture(width: int, height: int, parts: list[str], style: str, title: str) -> str:
    box = f'viewBox="0 0 {width} {height}" width="{width}"'
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" {box}>', f"<title>{title}</title>"]
    return "\n".join([*head, f"<style>{style}</style>", *parts, "</svg>\n"])


def _label(x: int, y: int, text: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y}" class="{style}">{text}</text>'


def _box(x: float, y: int, width: float, text: str, style: str) -> str:
    rectangle = f'<rect class="{style}" x="{x:g}" y="{y}" width="{width:g}" height="36" rx="5"/>'
    return f'{rectangle}<text x="{x + width / 2:g}" y="{y + 23}">{text}</text>'


def _way(start: float, end: float, y: int) -> str:
    return f'<path class="way" d="M{start:g} {y}H{end:g}"/>'


PICTURES = {"idea.svg": idea, "report.svg": report}


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (DOCS / name).write_text(draw(), "utf-8")
