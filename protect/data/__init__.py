"""Bytes <-> samples: shards, captions, photo folders, metadata."""
