"""Published files as an attacker reads them."""
