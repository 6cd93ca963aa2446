"""The version, apart from everything that is loaded with the package."""

__version__ = "0.1.0"
