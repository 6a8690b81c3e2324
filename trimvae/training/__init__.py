"""Training any code through a frozen predictor, on Lightning."""
