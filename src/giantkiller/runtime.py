"""onnxruntime with its telemetry off: who screens comments with us tells nobody."""

import os

# Read when onnxruntime is imported, which would otherwise also leave a device ID in the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
