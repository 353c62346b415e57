"""Which trainings are run, on what, and where they are stored."""
