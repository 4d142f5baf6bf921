"""Hooks: addresses that other programs call by contracts of their own.

A community at the end of an address lets the desk keep what calls for a person.
"""
