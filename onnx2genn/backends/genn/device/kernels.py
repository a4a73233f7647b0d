"""What the spikes of a whole group of neurons do to their targets, as loops for one CPU thread.

About one neuron in six sends something in a step of few-spike coding. A branch for each neuron is
often guessed wrong, and the arithmetic of its place costs as much as adding its weights. So the
neurons of one place that sent something are listed without a branch, the runs of targets that they
reach are computed once for all of them, and four rows of weights are added to a run at once: it is
read and written once for four, in vector instructions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from onnx2genn.backends.genn.lowering.convolution import Convolution
from onnx2genn.backends.genn.lowering.projection import Dense, Linear, Sparse

# Rows of weights that are added at once.
_ROWS = 4
# Synapses of a neuron, in the mean, up to which all are added whether it sent something or not.
_FEW = 2


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """What one step of a projection is.

    Attributes:
        code: Statements that add to ``target`` what arrives.
        arrays: Arrays that the code reads, and one that it writes to, by name.
    """

    code: str
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def make_kernel(linear: Linear, spikes: str, *, graded: bool) -> Kernel:
    """Write one step of a projection.

    Args:
        linear: Weights.
        spikes: Text before the index of a source neuron, to which ``]`` is added: what it sent.
        graded: Whether this takes other values than 0 and 1.
    """
    writer = _Writer(spikes=spikes, graded=graded)
    if isinstance(linear, Dense):
        return writer.dense(linear)
    if isinstance(linear, Sparse):
        return writer.sparse(linear)
    convolution = linear.in_planes()
    if convolution.depthwise:
        return writer.depthwise(convolution)
    return writer.convolution(convolution)


@dataclass(frozen=True, kw_only=True)
class _Writer:
    spikes: str
    graded: bool

    def dense(self, linear: Dense) -> Kernel:
        rows, columns = linear.matrix.shape
        code = self._listed("0", rows) + self._rows("0", "0", columns, str(columns))
        return _kernel(code, linear.matrix, active=rows)

    def sparse(self, linear: Sparse) -> Kernel:
        matrix = linear.matrix
        entries = matrix.tocoo()
        arrays = {"post": entries.col.astype(np.int32)}
        if matrix.nnz <= _FEW * matrix.shape[0]:
            arrays["pre"] = entries.row.astype(np.int32)
            code = f"""
            for(int j = 0; j < {matrix.nnz}; j++) {{
                target[post[j]] += weights[j] * {self._sent("pre[j]")};
            }}"""
            return _kernel(code, entries.data, **arrays)
        arrays["rows"] = matrix.indptr.astype(np.int32)
        code = f"""{self._listed("0", matrix.shape[0])}
            for(int i = 0; i < n; i++) {{
                const int from = active[i];
                const scalar value = {self._sent("from")};
                for(int j = rows[from]; j < rows[from + 1]; j++) {{
                    target[post[j]] += weights[j] * value;
                }}
            }}"""
        return _kernel(code, entries.data, active=matrix.shape[0], **arrays)

    def depthwise(self, item: Convolution) -> Kernel:
        """Write a row of taps at a time, for all channels side by side, spikes or none."""
        channels, height, width = item.source
        total, target_height, target_width = item.target
        rows, columns = item.kernel.shape[2:]
        (down, right), (row_step, column_step) = item.strides, item.dilations
        weights = np.moveaxis(item.kernel[:, 0], 0, -1)
        # Targets of a row for which all taps of a row are inside of the source: begin to end - 1.
        reach = (columns - 1) * column_step
        begin = min(-(-item.pads[1] // right), target_width)
        end = max(begin, min((width + item.pads[1] - reach - 1) // right + 1, target_width))
        whole = " + ".join(
            f"(weights[from + {tap * channels} + k] * "
            f"{self._sent(f'source + {tap * column_step * channels} + k')})"
            for tap in range(columns)
        )
        edges = "".join(
            f"""
                    for(int p = {first}; p < {last}; p++) {{
                        for(int j = 0; j < {columns}; j++) {{
                            const int column = (p * {right}) + (j * {column_step}) - {item.pads[1]};
                            if(column >= 0 && column < {width}) {{
                                const int at = line + (p * {total});
                                const int of = from + (j * {channels});
                                const int source = ((row * {width}) + column) * {channels};
                                for(int k = 0; k < {channels}; k++) {{
                                    target[at + k] += weights[of + k] * {self._sent("source + k")};
                                }}
                            }}
                        }}
                    }}"""
            for first, last in ((0, begin), (end, target_width))
            if first < last
        )
        code = f"""
        for(int q = 0; q < {target_height}; q++) {{
            for(int i = 0; i < {rows}; i++) {{
                const int row = (q * {down}) + (i * {row_step}) - {item.pads[0]};
                if(row >= 0 && row < {height}) {{
                    const int from = i * {columns * channels};
                    const int line = (q * {target_width * total}) + {item.first};
                    for(int p = {begin}; p < {end}; p++) {{
                        const int at = line + (p * {total});
                        const int column = (p * {right}) - {item.pads[1]};
                        const int source = ((row * {width}) + column) * {channels};
                        for(int k = 0; k < {channels}; k++) {{
                            target[at + k] += {whole};
                        }}
                    }}{edges}
                }}
            }}
        }}"""
        return _kernel(code, weights)

    def convolution(self, item: Convolution) -> Kernel:
        """Write the targets of a place as runs of one output row, whose weights lie side by side.

        A source column c (pads included) reaches the output columns p = c / s - j by the kernel
        columns c % s + s j. The weights are kept in the order [channel, row, c % s, J - 1 - j,
        output], so that they ascend with p; taps beyond the kernel are zeros.
        """
        weights = _by_run(item)
        group, fan_in, rows, column_stride, taps, wide = weights.shape
        channels, height, width = item.source
        total, target_height, target_width = item.target
        (row_stride, _), (top, left) = item.strides, item.pads
        every = str(rows * column_stride * taps * wide)
        if total == wide:
            # Most runs are whole: a loop of fixed length needs no remainder.
            run = ("to + (begin * WIDE)", "weight + (begin * WIDE)")
            runs = f"""
                    if(last - begin == {taps - 1}) {{{self._rows(*run, taps * wide, every)}
                    }}
                    else {{{self._rows(*run, f"(last - begin + 1) * {wide}", every)}
                    }}""".replace("WIDE", str(wide))
        else:
            run = (f"to + (p * {total})", f"weight + (p * {wide})")
            runs = f"""
                    for(int p = begin; p <= last; p++) {{{self._rows(*run, wide, every)}
                    }}"""
        code = f"""
        for(int place = 0; place < {height * width * group}; place++) {{
            const int pixel = place / {group};
            const int part = place % {group};
            {self._listed(f"(place * {fan_in})", fan_in)}
            if(n != 0) {{
                const int row = (pixel / {width}) + {top};
                const int column = (pixel % {width}) + {left};
                const int lowest = (row - {rows - row_stride}) / {row_stride};
                const int highest = row / {row_stride};
                const int leftmost = (column / {column_stride}) - {taps - 1};
                const int rightmost = column / {column_stride};
                const int begin = (leftmost > 0) ? leftmost : 0;
                const int last = (rightmost < {target_width}) ? rightmost : {target_width - 1};
                for(int q = (lowest > 0) ? lowest : 0; q <= highest && q < {target_height}; q++) {{
                    const int tap = (part * {fan_in * rows}) + row - (q * {row_stride});
                    const int run = ((tap * {column_stride}) + (column % {column_stride})) * {taps};
                    const int weight = (run - leftmost) * {wide};
                    const int output = {item.first} + (part * {wide});
                    const int to = (q * {target_width * total}) + output;{runs}
                }}
            }}
        }}"""
        assert fan_in * group == channels
        return _kernel(code, weights, active=fan_in)

    def _sent(self, index: str) -> str:
        return f"{self.spikes}{index}]"

    def _listed(self, first: str, count: int) -> str:
        """List those of some neighbours that sent something; ``first`` is kept for their values."""
        return f"""
            const int first = {first};
            int n = 0;
            for(int i = 0; i < {count}; i++) {{
                active[n] = i;
                n += ({self._sent("first + i")} != 0.0) ? 1 : 0;
            }}"""

    def _rows(self, at: str, weight: str, size: int | str, every: str) -> str:
        """Add the rows of listed neurons to a run of targets, some at once and then one by one."""
        return f"""
                    const int at = {at};
                    const int start = {weight};
                    const int size = {size};
                    int i = 0;
                    for(; i + {_ROWS - 1} < n; i += {_ROWS}) {{{self._sum(_ROWS, every)}
                    }}
                    for(; i < n; i++) {{{self._sum(1, every)}
                    }}"""

    def _sum(self, count: int, every: str) -> str:
        lines, terms = [], []
        for row in range(count):
            source = f"active[i + {row}]"
            lines.append(f"const int from{row} = start + ({source} * {every});")
            term = f"weights[from{row} + k]"
            if self.graded:
                lines.append(f"const scalar value{row} = {self._sent(f'first + {source}')};")
                term = f"({term} * value{row})"
            terms.append(term)
        add = f"target[at + k] += {' + '.join(terms)};"
        lines.append(f"for(int k = 0; k < size; k++) {{ {add} }}")
        return "".join(f"\n                        {line}" for line in lines)


def _kernel(code: str, weights: np.ndarray, active: int = 0, **arrays: np.ndarray) -> Kernel:
    """Join what the code needs: weights, lists of places, and room to list active neurons."""
    if active:
        arrays["active"] = np.zeros(active, np.int32)
    flat = np.ascontiguousarray(weights, dtype=np.float32).ravel()
    return Kernel(code=code, arrays={"weights": flat, **arrays})


def _by_run(item: Convolution) -> np.ndarray:
    """Return weights as [group, channel, row, c % s, J - 1 - j, output]."""
    kernel = _undilated(item)
    outputs, fan_in, rows, columns = kernel.shape
    assert outputs % item.group == 0
    assert item.first + outputs <= item.target[0]
    stride = item.strides[1]
    taps = -(-columns // stride)
    padded = np.zeros((outputs, fan_in, rows, taps * stride), np.float32)
    padded[..., :columns] = kernel
    grouped = padded.reshape(item.group, outputs // item.group, fan_in, rows, taps, stride)
    return grouped[:, :, :, :, ::-1].transpose(0, 2, 3, 5, 4, 1)


def _undilated(item: Convolution) -> np.ndarray:
    """Write the zeros between the taps of a dilated kernel out."""
    outputs, fan_in, rows, columns = item.kernel.shape
    down, right = item.dilations
    kernel = np.zeros((outputs, fan_in, (rows - 1) * down + 1, (columns - 1) * right + 1))
    kernel[:, :, ::down, ::right] = item.kernel
    return kernel
