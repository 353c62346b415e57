"""Protect published image-caption pairs from being learned by CLIP-style models."""

__version__ = "0.1.0"
