"""People and keys that sign in, organizations, and API keys."""
