"""Deletion: of what an organization no longer keeps, and of a call or a person on request."""
