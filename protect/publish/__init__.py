"""The gate: original + noise -> file, checked; masking, quality, leaks."""
