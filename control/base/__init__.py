"""Small pure modules that several features use."""
