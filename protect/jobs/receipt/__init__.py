"""A receipt: of two equally protected twins of a picture one is published by a coin, so that use can be proved."""
