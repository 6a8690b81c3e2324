"""The command line: trimvae demo | train | explain | evaluate | report."""

from trimvae.cli.entry import main

__all__ = ["main"]
