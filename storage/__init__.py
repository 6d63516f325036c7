"""Storage: all SQL of HUM, and nothing else.  Only `control` imports it."""
