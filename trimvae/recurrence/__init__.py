"""Consensus: which axes several codes of the same data have in common."""
