"""Ways to spend judge calls."""
