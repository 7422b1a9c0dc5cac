"""ONNX models that the project builds itself: the cost stand-in for a trained network and the demo's mouth."""
