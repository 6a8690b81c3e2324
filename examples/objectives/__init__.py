"""One short training for each objective."""
