"""Changes of an organization's resources as they happen, for clients that show them."""
