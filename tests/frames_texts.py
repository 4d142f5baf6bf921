"""Texts that tests of data frames share: a null, and one that stands there twice."""

TEXTS = ["you idiot", None, "thanks", "you idiot", "damn"]
