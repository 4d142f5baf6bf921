"""Fixtures that several of these tests use."""

from judged import checkpoint, folder, insults, service

__all__ = ["checkpoint", "folder", "insults", "service"]
