"""Get the answers of my models."""
