"""Do attributions name what decides? Against published simulations and methods."""
