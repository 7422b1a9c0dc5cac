"""Pure values and arithmetic: nothing here imports Ray or ONNX Runtime, opens a file or starts a process."""
