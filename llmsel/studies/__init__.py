"""Experiments over many realizations, and what they say."""
