"""Clients of external systems: the carrier and the model.  Each is a Protocol, and one class that implements it."""
