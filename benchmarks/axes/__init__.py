"""Axes: do two codes explain one classifier alike, and along factors rather than classes?"""
