"""The version, in a file of its own so that every room may name it without entering another."""

__all__ = ["__version__"]

__version__ = "0.1.0"
