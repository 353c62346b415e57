"""A folder of photos, protected file by file."""
