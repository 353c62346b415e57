"""What makes frozen encoders quick on a CPU."""
