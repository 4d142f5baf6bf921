"""Checkpoint to bundle: the ONNX graph, its quantization, calibration and the model card."""
