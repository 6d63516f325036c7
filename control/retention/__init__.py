"""Deletion: by age, and of calls, people and organizations on request."""
