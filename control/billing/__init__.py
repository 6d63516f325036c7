"""Billing: plans, their limits, subscriptions at Stripe, and usage for Stripe's meters."""
