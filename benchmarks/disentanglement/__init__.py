"""Objectives and metrics of disentanglement."""
