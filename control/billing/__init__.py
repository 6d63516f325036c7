"""Billing: plans, the subscription that Stripe keeps, what plans limit, and usage for Stripe's meters."""
