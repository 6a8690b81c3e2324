"""Explanations that are false, and honest ones: which of them are flagged?"""
