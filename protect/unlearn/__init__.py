"""Making a trained CLIP forget, and proof of it."""
