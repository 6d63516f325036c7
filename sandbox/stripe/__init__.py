"""A stand-in for Stripe's Billing: customers, prices, checkouts, subscriptions, invoices, the portal, meters, and signed events.

    async with Stripe.serve(api_key="sk_test_1", webhook_secret="whsec_1", webhook_url=...) as stripe:
        price = stripe.book.add_price("price_starter", amount=2900)
        ...                                        # the product opens a checkout over REST
        stripe.book.complete(session_id)           # the customer pays
        stripe.book.renew(subscription_id, pays=False)
        # Or pass it some of stripe.book.events, to deliver them in any order.
        await stripe.deliver()

`stripe.faults` makes the next requests fail: before or after they take effect, with a status or without any response.
"""

from sandbox.stripe.book import Book
from sandbox.stripe.faults import StripeFault, StripeFaults
from sandbox.stripe.server import Stripe

__all__ = ["Book", "Stripe", "StripeFault", "StripeFaults"]
