"""From an ONNX file to a canonical, verified and partitioned graph."""
