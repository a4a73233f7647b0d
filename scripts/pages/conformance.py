"""Write ``docs/conformance.md``: onnx's own tests of operators, as networks; some minutes.

python scripts/pages/conformance.py
"""

from __future__ import annotations

import collections
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.conformance import REFUSED, RIGHT, Case, Outcome, cases, outcome

from common import DOCS
from common.markdown import table

PAGE = DOCS / "conformance.md"
_INTRODUCTION = """\
# Conformance

Written by `scripts/pages/conformance.py`. onnx ships {tests:,} tests of its operators, each with
inputs and the outputs that they have to give. They are taken as networks, as they are and with all
inputs but the first as weights: {cases:,} cases. **{right:,} convert**: the canonical graph gives
the expected outputs, and the spikes give what the forecast says. **{refused:,} are refused with a
reason**, most since they are no networks: inputs of several batch sizes, what mixes samples,
strings, sequences, optional values, training. None ends otherwise.

"near" are those whose spikes of 12 steps (few-spike) are within 5 % of the largest logit of the
graph; the others have exponentials or quotients of a wide range, of which a spike has one step.
Which operators convert within a network is said in [operators.md](operators.md).
"""


def page(found: Sequence[tuple[Case, Outcome]]) -> str:
    """Return the page in Markdown."""
    rows: dict[str, list[Outcome]] = collections.defaultdict(list)
    for case, result in found:
        rows[case.operator].append(result)
    head = _INTRODUCTION.format(
        tests=sum(not case.frozen for case, _ in found),
        cases=len(found),
        right=_count([item for _, item in found], RIGHT),
        refused=_count([item for _, item in found], REFUSED),
    )
    lines = [
        [name, *map(str, (len(items), _count(items, RIGHT), _near(items), _count(items, REFUSED)))]
        for name, items in sorted(rows.items())
    ]
    return f"{head}\n{table(['operator', 'cases', 'right', 'near', 'refused'], lines, left=1)}\n"


def _count(found: Iterable[Outcome], kind: str) -> int:
    return sum(item.kind == kind for item in found)


def _near(found: Iterable[Outcome]) -> int:
    return sum(item.near for item in found)


def main() -> int:
    warnings.simplefilter("ignore")
    found = [(case, outcome(case)) for case in cases()]
    faults = [(case, item) for case, item in found if item.kind not in (RIGHT, REFUSED)]
    for case, item in faults:
        print(f"{case.name}: {item.kind}: {item.reason}")
    if not faults:
        PAGE.write_text(page(found))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
