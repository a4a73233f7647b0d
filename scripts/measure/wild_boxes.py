"""Boxes of a YOLO detector: decoded, thinned out, compared."""

from __future__ import annotations

import numpy as np

_SCORE, _OVERLAP, _SAME = 0.2, 0.45, 0.5


def compare_boxes(ann: np.ndarray, snn: np.ndarray) -> str:
    """Say which boxes of the ANN the SNN has, too, and how well they fit.

    Args:
        ann: Output [N, 4 + classes, anchors] of the ANN.
        snn: Of the SNN.
    """
    overlaps, extra, lost = [], 0, list[float]()
    for one, other in zip(ann, snn, strict=True):
        wanted, found = _boxes(one), _boxes(other)
        best = [max((_iou(a, b) for b in found if a[5] == b[5]), default=0.0) for a in wanted]
        overlaps += best
        lost += [box[4] for box, value in zip(wanted, best, strict=True) if value < _SAME]
        back = [max((_iou(a, b) for b in wanted if a[5] == b[5]), default=0.0) for a in found]
        extra += sum(value < _SAME for value in back)
    kept = [value for value in overlaps if value >= _SAME]
    scores = f", of scores up to {max(lost):.2f} (the threshold is {_SCORE})" if lost else ""
    return (
        f"{len(lost)} of {len(overlaps)} boxes lost{scores}, {extra} more; IoU "
        f"{np.mean(kept):.4f} in the mean, {np.min(kept):.3f} at least"
    )


def _boxes(output: np.ndarray) -> list[np.ndarray]:
    """Return rows of left, top, right, bottom, score, class; none that overlaps a better one."""
    scores = output[4:].max(axis=0)
    kept = np.flatnonzero(scores >= _SCORE)
    kept = kept[np.argsort(-scores[kept])]
    x, y, w, h = output[:4, kept]
    classes = output[4:, kept].argmax(axis=0)
    rows = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2, scores[kept], classes], axis=1)
    found: list[np.ndarray] = []
    for row in rows:
        if all(_iou(row, other) < _OVERLAP for other in found):
            found.append(row)
    return found


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:4], b[2:4])
    both = float(np.prod(np.maximum(high - low, 0)))
    total = float(np.prod(a[2:4] - a[:2]) + np.prod(b[2:4] - b[:2])) - both
    return both / total if total else 0.0
