"""A convolution as a snippet of TOEPLITZ connectivity."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx2genn.backends.genn.device.groups import Toeplitz
from onnx2genn.backends.genn.lowering.convolution import Convolution


def toeplitz(item: Convolution) -> tuple[Toeplitz, np.ndarray]:
    """Write a convolution over two axes as a snippet; every dimension is a literal in its text.

    Layers with the same text share one kernel on the device; with parameters instead, all layers
    would, and divide by numbers that are known only at run time.

    Args:
        item: Convolution over two spatial axes.

    Returns:
        The snippet, and the kernel [rows, columns, source channels, O / group], flat.
    """
    outputs, fan_in, rows, columns = item.kernel.shape
    channels, _, width = item.source
    total, target_height, target_width = item.target
    assert fan_in * item.group == channels and outputs % item.group == 0
    assert item.first + outputs <= total
    wide = outputs // item.group
    (row_stride, column_stride), (row_step, column_step) = item.strides, item.dilations
    code = f"""
        const int tap = (int)(id_diag / {wide});
        const int kernelRow = tap / {columns};
        const int kernelColumn = tap % {columns};
        const int within = (int)(id_diag % {wide});
        for_each_synapse {{
            const int pixel = (int)(id_pre / {channels});
            const int channel = (int)(id_pre % {channels});
            const int row = (pixel / {width}) + {item.pads[0]} - (kernelRow * {row_step});
            const int column = (pixel % {width}) + {item.pads[1]} - (kernelColumn * {column_step});
            if(row >= 0 && column >= 0 && row % {row_stride} == 0 && column % {column_stride} == 0
               && row < {target_height * row_stride} && column < {target_width * column_stride}) {{
                const int postRow = row / {row_stride};
                const int post = (postRow * {target_width}) + (column / {column_stride});
                const int output = {item.first} + ((channel / {fan_in}) * {wide}) + within;
                addSynapse((post * {total}) + output, kernelRow, kernelColumn, channel, within);
            }}
        }}"""
    snippet = Toeplitz(
        code=code,
        longest=rows * columns * wide,
        kernel_size=(rows, columns, channels, wide),
    )
    grouped = item.kernel.reshape(item.group, wide, fan_in, rows, columns)
    kernel = grouped.transpose(3, 4, 0, 2, 1).reshape(-1)
    return snippet, kernel


def create_snippet(item: Toeplitz) -> Any:
    """Make the snippet of PyGeNN."""
    from pygenn import create_toeplitz_connect_init_snippet

    return create_toeplitz_connect_init_snippet(
        "convolution",
        diagonal_build_code=item.code,
        calc_max_row_len_func=lambda _pre, _post, _params: item.longest,
        calc_kernel_size_func=lambda _params: list(item.kernel_size),
    )
