"""What every room of the package may use, and what knows none of them."""
