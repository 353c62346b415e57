"""What a platform left of the protection: a protected file beside the file downloaded from a site."""
