"""A bundle: a network with all that its scores depend on."""
