"""One example for each code that is not a plain VAE."""
