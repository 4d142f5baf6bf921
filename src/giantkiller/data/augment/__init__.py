"""Texts made from texts: spelling attacks, templates, sentences, remixes."""
