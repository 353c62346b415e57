"""What can be said of published files without training."""
