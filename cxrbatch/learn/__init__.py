"""Training and evaluation of what a bundle holds; never imported while screening."""
