"""The attacker's side: reads published files only, trains on them, reports what they taught."""
