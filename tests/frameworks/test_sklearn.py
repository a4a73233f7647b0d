"""Networks of scikit-learn, exported by skl2onnx."""

import numpy as np
import pytest

import onnx2genn

pytest.importorskip("sklearn", reason="SCIKIT-LEARN IS MISSING: its exports are not tested")
skl2onnx = pytest.importorskip("skl2onnx", reason="SKL2ONNX IS MISSING: its exports are not tested")

from sklearn.decomposition import PCA  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
X = np.random.default_rng(0).normal(2, 3, (200, 4)).astype(np.float32)
SCALERS = {"none": [], "standard": [StandardScaler()], "minmax": [MinMaxScaler()]}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("scaler", SCALERS)
def test_classifier(classes, zipmap, scaler):
    y = (X @ np.random.default_rng(1).normal(size=(4, classes))).argmax(axis=1)
    classifier = MLPClassifier(hidden_layer_sizes=(8, 8), max_iter=30, random_state=0)
    pipeline = make_pipeline(*SCALERS[scaler], classifier).fit(X, y)
    proto = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": zipmap})
    network = onnx2genn.convert(proto, X, steps=12)
    assert len(network.populations) == 2
    answers = network.predict(X, heads=True, backend="onnxruntime").argmax(axis=1)
    np.testing.assert_array_equal(answers, pipeline.predict(X))


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_principal_components_and_a_norm(norm):
    y = (X @ np.random.default_rng(1).normal(size=(4, 3))).argmax(axis=1)
    classifier = MLPClassifier(hidden_layer_sizes=(8,), max_iter=30, random_state=0)
    pipeline = make_pipeline(PCA(3), Normalizer(norm), classifier).fit(X, y)
    proto = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    network = onnx2genn.convert(proto, X, steps=14)
    answers = network.predict(X, heads=True, backend="onnxruntime").argmax(axis=1)
    assert np.mean(answers == pipeline.predict(X)) > 0.98


def test_a_forest_is_no_network():
    forest = RandomForestClassifier(n_estimators=2).fit(X, X[:, 0] > 0)
    (problem,) = onnx2genn.check(skl2onnx.to_onnx(forest, X[:1], options={"zipmap": False}))
    assert "TreeEnsembleClassifier" in problem.operator
    assert "no neural network" in problem.reason


def test_tanh_in_double_precision():
    y = (X[:, 0] > X[:, 1]).astype(int)
    model = MLPClassifier(hidden_layer_sizes=(6,), activation="tanh", max_iter=30, random_state=0)
    model.fit(X, y)
    network = onnx2genn.convert(skl2onnx.to_onnx(model, X[:1].astype(np.float64)), X, steps=12)
    assert any("float64" in note for note in network.model.graph.notes)
    answers = network.predict(X, heads=True, backend="onnxruntime").argmax(axis=1)
    np.testing.assert_array_equal(answers, model.predict(X))


def test_regressor():
    y = X @ np.array([0.5, -1, 2, 0])
    model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0)
    model = make_pipeline(StandardScaler(), model).fit(X, y)
    network = onnx2genn.convert(skl2onnx.to_onnx(model, X[:1]), X, steps=12)
    answers = network.predict(X, backend="onnxruntime")
    np.testing.assert_allclose(answers[:, 0], model.predict(X), atol=0.01 * np.abs(y).max())
