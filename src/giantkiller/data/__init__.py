"""Labelled comments: reading, splitting, attacking."""
