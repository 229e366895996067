"""Train networks by a recipe and write them as a bundle; never imported while screening."""
