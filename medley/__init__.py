"""Medley: a self-hosted media library that syncs."""

__version__ = "0.1.0"
