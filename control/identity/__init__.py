"""The signed-in person or key, the organization, and its API keys."""
