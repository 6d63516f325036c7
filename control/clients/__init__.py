"""Clients of external systems: the carrier, the model, Stripe, and customers' URLs."""
