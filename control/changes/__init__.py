"""Changes: what happens in an organization, as it happens, for whoever shows it."""
