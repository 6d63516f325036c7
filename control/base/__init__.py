"""Small and pure: what several features need."""
