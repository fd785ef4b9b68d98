"""Verification of evidence, and the keys that are trusted."""
