"""The algorithms straight from their formulas, slow on purpose: the fast engine is held to them."""
