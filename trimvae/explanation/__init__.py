"""Explanations: what they hold, how far they can be trusted, what else can be asked."""
