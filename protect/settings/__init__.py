"""Every knob with its default, unit and help; no torch."""
