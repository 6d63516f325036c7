"""Delivery of texts: what the carrier made of each, and what a person decides where it does not tell."""
