"""Classifiers whose rule is known."""
