"""Codes that are not plain VAEs."""
