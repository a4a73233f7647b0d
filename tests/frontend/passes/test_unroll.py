"""Recurrent layers become their steps: compared with what onnxruntime computes."""

import numpy as np
import pytest
from helpers.onnx_models import OLD_ONNXRUNTIME, check_model, ints, model, node, normal
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import onnx2genn
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.run import session

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
INPUTS, HIDDEN = 3, 5


def weights(op, directions=1, *, inputs=INPUTS, biases=True, peepholes=False):
    """Random weights of a layer."""
    gates = GATES[op]
    found = {
        "w": normal(directions, gates * HIDDEN, inputs),
        "r": normal(directions, gates * HIDDEN, HIDDEN, scale=0.5),
    }
    if biases:
        found["b"] = normal(directions, 2 * gates * HIDDEN)
    if peepholes:
        found["p"] = normal(directions, 3 * HIDDEN)
    return found


def layer(op, *, length=4, batch="N", states="", lens="_", fixed=None, **attributes):
    """A batch-first input, a layer, and all its outputs in one row."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    peepholes = attributes.pop("peepholes", False)
    biases = attributes.pop("biases", True)
    given = {**weights(op, directions, biases=biases, peepholes=peepholes), **(fixed or {})}
    h, c = [*states.split(), "_", "_"][:2]
    names = f"t w r {'b' if biases else '_'} {lens} {h}"
    if op == "LSTM":
        names += f" {c}" + (" p" if peepholes else "")
    made = "y0 h0 c0"[: 8 if op == "LSTM" else 5]
    parts = {name: f"{name}2" for name in made.split()}
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node(op, names, made, hidden_size=HIDDEN, name="memory", **attributes),
        node("Transpose", "y0", "y1", perm=[2, 0, 1, 3]),
        node("Transpose", "h0", "h1", perm=[1, 0, 2]),
        *([node("Transpose", "c0", "c1", perm=[1, 0, 2])] if op == "LSTM" else []),
        *(node("Flatten", f"{name[0]}1", part) for name, part in parts.items()),
        node("Concat", " ".join(parts.values()), "y", axis=1),
    ]
    return model(nodes, {"x": [batch, length, INPUTS]}, given)


def check_all(proto, batch=3):
    found = check_model(proto, batch=batch)
    assert found.error < 1e-4
    assert not {item.op for item in found.graph.nodes} & GATES.keys()


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
def test_directions(op, direction):
    check_all(layer(op, direction=direction))


@pytest.mark.parametrize("length", [1, 2, 9])
@pytest.mark.parametrize("op", GATES)
def test_lengths(op, length):
    check_all(layer(op, length=length))


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("op", GATES)
def test_a_frozen_batch(op, batch):
    """Of the size of the sequence, too, and with states repeated for each sample."""
    zeros = np.zeros((1, batch, HIDDEN), np.float32)
    rows = normal(1, 1, HIDDEN).repeat(batch, axis=1)
    for state in (zeros, rows):
        check_all(layer(op, batch=batch, states="s s", fixed={"s": state}), batch)


@pytest.mark.parametrize("options", [{}, {"biases": False}, {"linear_before_reset": 1}])
def test_gru(options):
    check_all(layer("GRU", **options))


@pytest.mark.parametrize(
    "options",
    [
        {"biases": False},
        {"input_forget": 1},
        {"peepholes": True},
        {"peepholes": True, "direction": "bidirectional"},
        {"peepholes": True, "input_forget": 1},
        {"clip": 0.7},
        {"clip": 0.7, "peepholes": True},
    ],
    ids=str,
)
def test_lstm(options):
    check_all(layer("LSTM", **options))


@pytest.mark.parametrize("op", ["GRU", "RNN"])
def test_clip(op):
    check_all(layer(op, clip=0.7))


@pytest.mark.parametrize(
    ("name", "alpha", "beta"),
    [
        ("Relu", [], []),
        ("Affine", [0.5], [0.3]),
        ("LeakyRelu", [0.2], []),
        ("ThresholdedRelu", [0.4], []),
        ("ScaledTanh", [0.8], [0.6]),
        ("HardSigmoid", [0.3], [0.4]),
        ("Elu", [0.7], []),
        ("Softsign", [], []),
        ("Softplus", [], []),
    ],
)
def test_activations(name, alpha, beta):
    given = {"activation_alpha": alpha} if alpha else {}
    given |= {"activation_beta": beta} if beta else {}
    check_all(layer("RNN", activations=[name], **given))


def test_each_activation_takes_the_next_of_its_parameters():
    names = ["HardSigmoid", "LeakyRelu", "Tanh", "Sigmoid", "Elu", "ScaledTanh"]
    options = {"activation_alpha": [0.3, 0.2, 0.5, 0.8], "activation_beta": [0.4, 0.6]}
    check_all(layer("LSTM", direction="bidirectional", activations=names, **options))


@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="this onnxruntime has other defaults")
@pytest.mark.parametrize("name", ["LeakyRelu", "HardSigmoid", "Elu", "ThresholdedRelu"])
def test_parameters_that_the_file_leaves_out(name):
    check_all(layer("RNN", activations=[name]))


@pytest.mark.parametrize("op", GATES)
def test_constant_states(op):
    fixed = {"s": normal(2, 1, HIDDEN), "m": normal(2, 1, HIDDEN, seed=1), "tile": ints(1, 1, 1)}
    proto = layer(op, direction="bidirectional", states="s2 m2", fixed=fixed)
    add_expanded(proto, ("s", "m"))
    check_all(proto)


def add_expanded(proto, names):
    """Repeat states for each sample, by the shape of the input, as PyTorch does."""
    for name in names:
        extra = [
            node("Shape", "x", f"{name}_shape"),
            node("Gather", f"{name}_shape zero", f"{name}_batch"),
            node("Concat", f"one {name}_batch one", f"{name}_target", axis=0),
            node("Expand", f"{name} {name}_target", f"{name}2"),
        ]
        for position, item in enumerate(extra):
            proto.graph.node.insert(position, item)
    fixed = model([], {}, {"zero": ints(0), "one": ints(1)}, outputs=()).graph.initializer
    proto.graph.initializer.extend(fixed)


@pytest.mark.parametrize("op", GATES)
def test_states_from_the_network(op):
    """The last states of an encoder are the first of a decoder."""
    given = weights(op) | {"w2": normal(1, GATES[op] * HIDDEN, 2)}
    states = "c0" if op == "LSTM" else ""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node(op, "t w r b", f"_ h0 {states}", hidden_size=HIDDEN),
        node("Slice", "t zero two features", "u"),
        node(op, f"u w2 r b _ h0 {states}", "y0", hidden_size=HIDDEN),
        node("Transpose", "y0", "y", perm=[2, 0, 1, 3]),
    ]
    given |= {"zero": ints(0), "two": ints(2), "features": ints(2)}
    assert check_model(model(nodes, {"x": ["N", 4, INPUTS]}, given)).error < 1e-4


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
def test_sequences_that_end_early(op, direction):
    fixed = {"lens": np.array([3, 3], np.int32)}
    proto = layer(op, length=5, batch=2, lens="lens", direction=direction, fixed=fixed)
    check_all(proto, batch=2)


@pytest.mark.parametrize("op", GATES)
def test_layout_1(op):
    """onnxruntime does not run it; the reference implementation of onnx does."""
    nodes = [node(op, "x w r b", "y", hidden_size=HIDDEN, layout=1)]
    proto = model(nodes, {"x": ["N", 4, INPUTS]}, weights(op))
    x = normal(3, 4, INPUTS)
    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": x})
    (got,) = session(read(proto).to_onnx()).run(None, {"x": x})
    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize(("batch", "size"), [("N", 3), (1, 1), (2, 2)])
@pytest.mark.parametrize("op", GATES)
def test_a_sequence_that_comes_with_the_time_first(op, batch, size):
    nodes = [
        node("MatMul", "x a", "t"),
        node(op, "t w r b", "y0", hidden_size=HIDDEN),
        node("Squeeze", "y0 one", "z"),
        node("MatMul", "z d", "y"),
        node("Gather", "y last", "l", axis=0),
    ]
    given = weights(op) | {"a": normal(2, INPUTS), "d": normal(HIDDEN, 4), "one": ints(1)}
    given["last"] = np.int64(-1)
    proto = model(nodes, {"x": [6, batch, 2]}, given, outputs=("y", "l"))
    x = normal(size, 6, 2)
    wanted = dict(zip("yl", session(proto).run(None, {"x": x.transpose(1, 0, 2)}), strict=True))
    wanted["y"] = wanted["y"].transpose(1, 0, 2)
    for name, array in wanted.items():
        found = read(proto, output=name)
        assert found.graph.inputs == {"x": (6, 2)}
        (got,) = session(found.to_onnx()).run(None, {"x": x})
        np.testing.assert_allclose(got, array, atol=1e-5)


def stacked(op):
    """Two bidirectional layers and a dense one on the last step."""
    first = {f"{name}1": array for name, array in weights(op, 2).items()}
    second = {f"{name}2": array for name, array in weights(op, 2, inputs=2 * HIDDEN).items()}
    given = {**first, **second, "join": ints(0, 0, -1), "last": np.int64(-1), "d": normal(10, 4)}
    both = {"hidden_size": HIDDEN, "direction": "bidirectional"}
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node(op, "t w1 r1 b1", "y1", name="first", **both),
        node("Transpose", "y1", "z1", perm=[0, 2, 1, 3]),
        node("Reshape", "z1 join", "u"),
        node(op, "u w2 r2 b2", "y2", name="second", **both),
        node("Transpose", "y2", "z2", perm=[2, 0, 1, 3]),
        node("Reshape", "z2 join", "v"),
        node("Gather", "v last", "e", axis=1),
        node("MatMul", "e d", "y"),
    ]
    return model(nodes, {"x": ["N", 4, INPUTS]}, given)


@pytest.mark.parametrize("op", GATES)
def test_what_the_answer_does_not_need_is_left_out(op):
    """The last step alone is read: of the second layer's way back, only its first step."""
    found = check_model(stacked(op))
    steps = {"/".join(item.name.split("/")[:3]) for item in found.graph.nodes}
    second = {step for step in steps if step.startswith("second/")}
    assert {f"second/forward/{t}" for t in range(4)} <= second
    assert "second/reverse/3" in second
    assert not {f"second/reverse/{t}" for t in range(3)} & second


def test_a_step_waits_only_for_the_steps_that_it_reads():
    """Latency is that of one way through both layers, not of one after the other."""
    samples = normal(50, 4, INPUTS)
    network = onnx2genn.convert(stacked("RNN"), samples, steps=4)
    depth = network.latency // (network.coding.steps + 1)
    assert depth <= 4 + 4 + 1


@pytest.mark.parametrize("coding", ["few-spike", "two-phase"])
@pytest.mark.parametrize("op", GATES)
def test_spikes(op, coding):
    """The embedded engine gives what the forecast says."""
    samples = normal(60, 2, INPUTS)
    network = onnx2genn.convert(layer(op, length=2), samples, coding, steps=8)
    labels = np.arange(60) % HIDDEN
    found = network.evaluate(samples, labels, backend="onnxruntime")
    assert found.snn_accuracy == found.forecast_accuracy


def test_many_spikes_give_what_the_ann_gives():
    samples = normal(60, 4, INPUTS)
    network = onnx2genn.convert(layer("GRU"), samples, steps=14)
    (wanted,) = session(layer("GRU")).run(None, {"x": samples})
    got = network.predict(samples, backend="onnxruntime").reshape(wanted.shape)
    assert np.abs(got - wanted).max() < 0.02


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 2, "lens": "l", "fixed": {"l": np.array([2, 3], np.int32)}}, "each sample"),
        ({"batch": 2, "states": "s", "fixed": {"s": normal(1, 2, HIDDEN)}}, "each sample"),
    ],
)
def test_refusals(change, words):
    problems = check(layer("RNN", **change))
    assert [item.node for item in problems] == ["memory"]
    assert words in problems[0].reason


def test_the_samples_as_the_sequence():
    nodes = [
        node("Unsqueeze", "x one", "t"),
        node("RNN", "t w r b", "y0", hidden_size=HIDDEN, name="memory"),
        node("Reshape", "y0 rows", "y"),
    ]
    given = weights("RNN") | {"one": ints(1), "rows": ints(-1, HIDDEN)}
    (problem,) = check(model(nodes, {"x": ["N", INPUTS]}, given))
    assert "samples of the batch" in problem.reason


def test_all_problems_are_listed():
    proto = layer("RNN", batch=2, states="s", fixed={"s": normal(1, 2, HIDDEN)})
    proto.graph.node.append(node("Bernoulli", "y", "z", name="unknown"))
    proto.graph.output[0].name = "k"
    proto.graph.node.append(node("Relu", "z", "k"))
    assert [item.node for item in check(proto)] == ["memory", "unknown"]


def test_a_network_that_is_unrolled_already_and_has_the_time_first():
    """Steps of a cell, stacked along a first axis, as the output of a text reader."""
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2])]
    for step in range(3):
        nodes += [
            node("Gather", f"t at{step}", f"x{step}", axis=0),
            node("Gemm", f"x{step} w", f"a{step}"),
            node("Add", f"a{step} h{step - 1}", f"s{step}") if step else node("Neg", "a0", "s0"),
            node("Tanh", f"s{step}", f"h{step}"),
            node("Unsqueeze", f"h{step} zero", f"row{step}"),
        ]
    nodes += [node("Concat", "row0 row1 row2", "rows", axis=0), node("MatMul", "rows v", "y")]
    given = {"w": normal(INPUTS, HIDDEN), "v": normal(HIDDEN, 2), "zero": ints(0)}
    given |= {f"at{step}": np.array(step) for step in range(3)}
    proto = model(nodes, {"x": ["N", 3, INPUTS]}, given)
    found = read(proto)
    x = normal(4, 3, INPUTS)
    (wanted,) = session(proto).run(None, {"x": x})
    (got,) = session(found.to_onnx()).run([found.graph.output], {"x": x})
    np.testing.assert_allclose(got, wanted.transpose(1, 0, 2), rtol=1e-4, atol=1e-5)


def test_a_first_state_of_one_sample_fixes_the_batch():
    """As when an input of a state was given its value in the file."""
    proto = layer("GRU", states="s", fixed={"s": normal(1, 1, HIDDEN)})
    check_all(proto, batch=1)


def test_states_of_several_layers_come_in_one_input():
    """[layers, batch, H], as PyTorch has it; each layer takes its slice."""
    proto = layer("GRU", states="s")
    nodes = [node("Slice", "all zero one zero", "s")]
    proto.graph.node.insert(0, nodes[0])
    for name, value in (("zero", 0), ("one", 1)):
        proto.graph.initializer.append(numpy_helper.from_array(ints(value), name))
    proto.graph.input.append(helper.make_tensor_value_info("all", 1, [2, "N", HIDDEN]))
    found = read(proto)
    assert found.entries["all"] == (2, HIDDEN)
    x, states = normal(3, 4, INPUTS), normal(2, 3, HIDDEN)
    (wanted,) = session(proto).run(None, {"x": x, "all": states})
    (entry,) = found.graph.inputs
    feeds = {"x": x, "all": states.transpose(1, 0, 2)}
    joined = {entry: join_arrays(found.entries, feeds)}
    (got,) = session(found.to_onnx()).run([found.graph.output], joined)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
