"""Results → tables for people, JSON, JSON lines and CSV; where they are written to."""
