"""Write the page of supported operators, ``docs/operators.md``, from the registry.

python scripts/pages/operators.py
"""

from __future__ import annotations

from pathlib import Path

import onnx

from onnx2genn.frontend import operators  # noqa: F401  (fills the registry)
from onnx2genn.ir.registry import REGISTRY, Operator

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
_INTRODUCTION = """\
# Operators

Written by `scripts/pages/operators.py` from the registry of handlers. Any opset that the installed
onnx and onnxruntime know is read; what exporters spell out (Gelu by Erf, Silu as a product, Flatten
as shape arithmetic, pairs of QuantizeLinear and DequantizeLinear, ...) is recognised. Anything that
is not listed is reported as a problem with the name of its node, and never skipped: `onnx2genn
MODEL.onnx --check` lists all problems of a model, and `onnx2genn.operator` registers a handler of
your own.

| kind | what becomes of it |
|---|---|
| affine | part of the map between two populations |
| data movement | likewise; it needs no arithmetic |
| population | neurons |
| function | neurons that send a function of what they collected; with rate they wait for it, a \
window each |
| quantised | the float operator that it stands for; spikes round in place of whole numbers |
| unrolled | written as its steps, in the operators of this table; a fixed number of steps |
| head | taken off at the end of the network; the logits before it are the answer |
| condition | a function that is 1 where it holds, or part of one |

"9+" is opset 9 and every later one that the installed onnxruntime runs; for other domains, it is
the version of the domain. All backends simulate all of them.
"""
_HEADER = """\
| operator | opsets | kind | what is not converted, or only so |
|---|---|---|---|"""
# The oldest opset of the standard operators that is tested.
_OLDEST = 9


def page() -> str:
    """Return the page in Markdown."""
    entries = sorted(REGISTRY.values(), key=lambda item: (item.domain, item.op))
    known = [_row(item) for item in entries if item.kind != "refused"]
    refused = [
        f"| {_name(item)} | {item.restrictions} |" for item in entries if item.kind == "refused"
    ]
    return "\n".join(
        [
            _INTRODUCTION,
            _HEADER,
            *known,
            "\n## Without a spiking form\n",
            "| operator | why, and what to do |\n|---|---|",
            *refused,
            "",
        ]
    )


def _row(item: Operator) -> str:
    limits = item.restrictions or "-"
    return f"| {_name(item)} | {_first_opset(item)}+ | {item.kind} | {limits} |"


def _first_opset(item: Operator) -> int:
    """Return the first version of the operator's domain that has it and is read.

    onnxruntime's own domain has one version, and onnx does not list it.
    """
    versions = [
        schema.since_version
        for schema in onnx.defs.get_all_schemas_with_history()
        if (schema.domain, schema.name) == (item.domain, item.op)
    ]
    return max(min(versions, default=1), 1 if item.domain else _OLDEST)


def _name(item: Operator) -> str:
    return f"{item.domain}.{item.op}" if item.domain else item.op


if __name__ == "__main__":
    PAGE.write_text(page())
