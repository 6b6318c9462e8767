"""People who compare answers: whose turn it is, how answers look, and the page they open."""
