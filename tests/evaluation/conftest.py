"""Fixtures that several of these tests use."""

import sys
from pathlib import Path

from judged import checkpoint, folder, insults, service

sys.path.insert(0, str(Path(__file__).parent))  # for reports.py

__all__ = ["checkpoint", "folder", "insults", "service"]
