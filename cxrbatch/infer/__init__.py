"""Score batches of images with the network of a bundle."""
