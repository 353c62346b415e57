"""Fit, protect shards and photos, inspect."""
