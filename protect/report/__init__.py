"""What every report shares: tables, charts, and how a page is filled."""
