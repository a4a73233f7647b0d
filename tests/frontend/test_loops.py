"""Loops whose number of steps shapes and constants decide, and those that data decides."""

import numpy as np
import onnx
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal, operators
from onnx import helper

from onnx2genn import UnsupportedModelError
from onnx2genn.frontend import loops
from onnx2genn.frontend.control_flow import settled
from onnx2genn.frontend.pipeline import check, read

FLOAT, WHOLE, TRUTH = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL
TIME, INPUTS, HIDDEN = 4, 3, 5


def info(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def body(nodes, inputs, outputs, weights=()):
    return helper.make_graph(nodes, "body", inputs, outputs, list(weights))


def counted(nodes, outputs=("o",), condition="Identity", reads="c"):
    """A body of a Loop with a state h, which ends where its condition says so."""
    return body(
        [*nodes, node(condition, reads, "c2")],
        [info("i", WHOLE, []), info("c", TRUTH, []), info("h")],
        [info("c2", TRUTH, []), info("h2"), *(info(name) for name in outputs)],
    )


def cell(x):
    """One step of a simple recurrent network."""
    return [node("MatMul", "h w", "hw"), node("Add", f"hw {x}", "s"), node("Tanh", "s", "h2")]


STEP = [node("Gather", "u i", "u_t", axis=1), *cell("u_t"), node("Identity", "h2", "o")]
WEIGHTS = {
    "v": normal(INPUTS, HIDDEN),
    "w": normal(HIDDEN, HIDDEN, scale=0.4),
    "yes": np.array(True),
}


def looped(step, trips="M yes", opset=17, **constants):
    """u = x v, h = mean of u; then the loop; all states side by side with the last one."""
    nodes = [
        node("MatMul", "x v", "u"),
        node("ReduceMean", "u", "h0", axes=[1], keepdims=0),
        node("Loop", f"{trips} h0", "last all", body=step, name="loop"),
        node("Transpose", "all", "turned", perm=[1, 0, 2]),
        node("Flatten", "turned", "flat"),
        node("Concat", "flat last", "y", axis=1),
    ]
    weights = {**WEIGHTS, "M": np.array(TIME), **constants}
    return model(nodes, {"x": ["N", TIME, INPUTS]}, weights, opset=opset)


@pytest.mark.parametrize("opset", [11, 17])
def test_a_loop_over_a_sequence(opset):
    found = check_model(looped(counted(STEP), opset=opset))
    assert operators(found).count("Tanh") == TIME


def test_the_length_of_the_sequence_may_be_the_number_of_steps():
    proto = looped(counted(STEP), "length yes", one=ints(1))
    nodes = [node("Shape", "x", "sizes"), node("Gather", "sizes one", "length")]
    for item in reversed(nodes):
        proto.graph.node.insert(0, item)
    assert operators(check_model(proto)).count("Tanh") == TIME


def test_a_condition_on_the_count_alone():
    proto = looped(counted(STEP, condition="Less", reads="i end"), "_ yes", end=np.array(2))
    assert operators(check_model(proto)).count("Tanh") == 3


def test_weights_of_the_body_are_there_once():
    inner = counted(
        [node("MatMul", "h own", "hw"), node("Tanh", "hw", "h2"), node("Neg", "h2", "o")]
    )
    own = onnx.numpy_helper.from_array(normal(HIDDEN, HIDDEN), "own")
    inner.initializer.append(own)
    proto = looped(inner)
    check_model(proto)
    written = settled(proto, "y")
    assert sum(item.name.endswith("own") for item in written.graph.initializer) == 1


def test_loops_and_branches_in_a_loop():
    branch = {
        f"{name}_branch": helper.make_graph(
            [node(op, "h", "b")], name, [], [helper.make_empty_tensor_value_info("b")]
        )
        for name, op in (("then", "Relu"), ("else", "Tanh"))
    }
    inner = body(
        [node("Mul", "g half", "g2"), node("Identity", "d", "d2")],
        [info("j", WHOLE, []), info("d", TRUTH, []), info("g")],
        [info("d2", TRUTH, []), info("g2")],
    )
    step = counted(
        [
            node("Equal", "i one", "second"),
            node("If", "second", "k", **branch),
            node("Loop", "two yes k", "h2", body=inner),
            node("Identity", "h2", "o"),
        ]
    )
    constants = {"half": np.float32(0.5), "one": np.array(1), "two": np.array(2)}
    found = check_model(looped(step, **constants))
    assert operators(found).count("Relu") == 1


def test_a_condition_on_data_is_refused():
    step = counted([*STEP, node("ReduceMax", "h2", "top", keepdims=0)], condition="Less",
                   reads="top half")  # fmt: skip
    (problem,) = check(looped(step, half=np.float32(0.5)))
    assert problem.node == "loop"
    assert "depends on data" in problem.reason
    assert "--output" in problem.advice


def test_more_steps_than_anyone_simulates_are_refused(monkeypatch):
    monkeypatch.setattr(loops, "_MOST_NODES", 10)
    with pytest.raises(UnsupportedModelError, match="2 steps or more"):
        read(looped(counted(STEP)))


def scanned(length=TIME, **options):
    """h = tanh(x_t v + h w) along the time of x, with a state that depends on the batch."""
    step = body(
        [node("MatMul", "x_t v", "u"), *cell("u"), node("Identity", "h2", "o")],
        [info("h"), info("x_t")],
        [info("h2"), info("o")],
    )
    return step, {"num_scan_inputs": 1, **options}


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("direction", [0, 1])
def test_a_scan_in_both_directions(direction, opset):
    step, options = scanned(
        scan_input_directions=[direction], scan_output_directions=[direction],
        scan_input_axes=[1], scan_output_axes=[1],
    )  # fmt: skip
    nodes = [
        node("MatMul", "x v", "u0"),
        node("ReduceMax", "u0", "h0", axes=[1], keepdims=0),
        node("Scan", "h0 x", "last all", body=step, **options),
        node("Flatten", "all", "flat"),
        node("Concat", "flat last", "y", axis=1),
    ]
    proto = model(nodes, {"x": ["N", TIME, INPUTS]}, WEIGHTS, opset=opset)
    assert operators(check_model(proto)).count("Tanh") == TIME


def test_a_scan_with_the_time_first():
    step, options = scanned()
    nodes = [
        node("Transpose", "x", "turned", perm=[1, 0, 2]),
        node("MatMul", "turned v", "u0"),
        node("ReduceMean", "u0", "h0", axes=[0], keepdims=0),
        node("Scan", "h0 turned", "_ y", body=step, **options),
    ]
    found = read(model(nodes, {"x": ["N", TIME, INPUTS]}, WEIGHTS))
    assert found.graph.shapes[found.graph.output] == (TIME, HIDDEN)


def test_a_scan_along_the_samples_is_refused():
    step, options = scanned()
    nodes = [node("Scan", "h0 x", "_ y", body=step, name="scan", **options)]
    proto = model(nodes, {"x": ["N", INPUTS]}, {**WEIGHTS, "h0": normal(HIDDEN)})
    (problem,) = check(proto)
    assert "number of samples" in problem.reason


@pytest.mark.parametrize("opset", [13, 17])
def test_a_list_that_a_loop_fills(opset):
    """As scripted PyTorch has it: append in each step, stack behind; the first and the last one."""
    listed = helper.make_tensor_sequence_value_info
    step = body(
        [
            node("Gather", "u i", "u_t", axis=1),
            *cell("u_t"),
            node("SequenceInsert", "l h2", "l2"),
            node("Identity", "c", "c2"),
        ],
        [info("i", WHOLE, []), info("c", TRUTH, []), info("h"), listed("l", FLOAT, None)],
        [info("c2", TRUTH, []), info("h2"), listed("l2", FLOAT, None)],
    )
    nodes = [
        node("MatMul", "x v", "u"),
        node("ReduceMax", "u", "h0", axes=[1], keepdims=0),
        node("SequenceEmpty", "", "none"),
        node("Loop", "M yes h0 none", "last list", body=step, name="loop"),
        node("ConcatFromSequence", "list", "stack", axis=1, new_axis=1),
        node("Flatten", "stack", "flat"),
        node("SequenceAt", "list first", "start"),
        node("SequenceLength", "list", "length"),
        node("Cast", "length", "steps", to=FLOAT),
        node("Div", "last steps", "share"),
        node("Concat", "flat start share", "y", axis=1),
    ]
    weights = {**WEIGHTS, "M": np.array(TIME), "first": np.array(0)}
    proto = model(nodes, {"x": ["N", TIME, INPUTS]}, weights, opset=opset)
    found = check_model(proto)
    assert operators(found).count("Tanh") == TIME
    assert found.graph.shapes["y"] == ((TIME + 2) * HIDDEN,)


def test_an_output_of_constants_alone_is_refused():
    """Another state of the same loop depends on the input; this one does not."""
    step = body(
        [node("Identity", "c", "c2"), node("Tanh", "h", "h2"), node("Neg", "k", "k2")],
        [info("i", WHOLE, []), info("c", TRUTH, []), info("h"), info("k")],
        [info("c2", TRUTH, []), info("h2"), info("k2")],
    )
    nodes = [node("Loop", "M yes x w", "last y", body=step)]
    proto = model(nodes, {"x": ["N", 3]}, {**WEIGHTS, "M": np.array(2)})
    with pytest.raises(UnsupportedModelError, match="depend on any input"):
        read(proto)
