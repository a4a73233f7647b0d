"""What a projection is, as GeNN's synapses know it; its matrices are SciPy's."""

from importlib.util import find_spec

from onnx2genn.errors import BackendError

if find_spec("scipy") is None:
    raise BackendError("GeNN's projections need scipy: pip install 'onnx2genn[genn]'.")
