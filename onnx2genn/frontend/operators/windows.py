"""Padding arithmetic shared by convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence

from onnx2genn.frontend.rewrite import Refusal


def explicit_pads(
    auto_pad: str,
    pads: Sequence[int] | None,
    spatial: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """Resolve ``auto_pad`` to ONNX pads: all beginnings, then all ends.

    SAME gives ceil(size / stride) outputs for the effective kernel (k - 1) d + 1; the odd pixel
    goes to the end (SAME_UPPER) or to the beginning (SAME_LOWER), as ONNX specifies.

    Args:
        auto_pad: ONNX attribute.
        pads: Explicit pads, used with ``NOTSET``.
        spatial: Spatial sizes of the input.
        kernel: Kernel sizes.
        strides: Strides.
        dilations: Dilations.

    Raises:
        Refusal: ``auto_pad`` has an unknown value, or a pad is negative.
    """
    if auto_pad in ("NOTSET", ""):
        resolved = [int(pad) for pad in pads or [0] * (2 * len(kernel))]
        if min(resolved, default=0) < 0:
            raise Refusal("it has negative pads.", "Crop with Slice instead.")
        return resolved
    if auto_pad == "VALID":
        return [0] * (2 * len(kernel))
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise Refusal(f"auto_pad={auto_pad!r} is unknown.", "Use explicit pads.")
    begins, ends = [], []
    for size, width, stride, dilation in zip(spatial, kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size)
        less, more = total // 2, total - total // 2
        begins.append(less if auto_pad == "SAME_UPPER" else more)
        ends.append(more if auto_pad == "SAME_UPPER" else less)
    return begins + ends
