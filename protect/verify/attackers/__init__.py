"""The attacker's CLIPs and how they train."""
