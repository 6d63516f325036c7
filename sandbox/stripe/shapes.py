"""Objects as Stripe sends them: with every field of its published fixtures; fields without a value here are null."""

from typing import Any

Json = dict[str, Any]


def customer(id: str, created: int, name: str | None, email: str | None, metadata: Json) -> Json:
    nothing = "address currency default_source description discount phone shipping test_clock"
    return {
        "id": id,
        "object": "customer",
        "balance": 0,
        "created": created,
        "delinquent": False,
        "email": email,
        "invoice_prefix": id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": metadata,
        "name": name,
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    } | dict.fromkeys(nothing.split())


def price(id: str, created: int, product: str, amount: int, usage_type: str, meter: str | None) -> Json:
    return {
        "id": id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": "usd",
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product,
        "recurring": {
            "interval": "month",
            "interval_count": 1,
            "meter": meter,
            "trial_period_days": None,
            "usage_type": usage_type,
        },
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }


def subscription(id: str, created: int, customer_id: str, items: list[Json], metadata: Json) -> Json:
    nothing = (
        "application application_fee_percent billing_cycle_anchor_config billing_schedules billing_thresholds cancel_at canceled_at "
        "customer_account days_until_due default_payment_method default_source description ended_at latest_invoice "
        "managed_payments next_pending_invoice_item_invoice on_behalf_of pause_collection pending_invoice_item_interval "
        "pending_setup_intent pending_update schedule test_clock transfer_data trial_end trial_settings trial_start"
    )
    return {
        "id": id,
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": created,
        "billing_mode": {"flexible": None, "type": "classic"},
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": created,
        "currency": "usd",
        "customer": customer_id,
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": listed(f"/v1/subscription_items?subscription={id}", items),
        "livemode": False,
        "metadata": metadata,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "start_date": created,
        "status": "active",
    } | dict.fromkeys(nothing.split())


def item(
    id: str, created: int, subscription_id: str, price: Json, quantity: int | None, period: tuple[int, int]
) -> Json:
    fields: Json = {
        "id": id,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": created,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": {},
        "plan": _plan(price),
        "price": price,
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
    }
    if quantity is None:
        # Metered items have no quantity.
        del fields["quantity"]
    return fields


def _plan(price: Json) -> Json:
    """Return a price as a plan, Stripe's older form, which items still contain."""
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": False,
        "metadata": {},
        "meter": price["recurring"]["meter"],
        "nickname": None,
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": price["recurring"]["usage_type"],
    }


def checkout(id: str, created: int, params: Json, url: str) -> Json:
    nothing = (
        "adaptive_pricing after_expiration allow_promotion_codes billing_address_collection client_reference_id client_secret "
        "collected_information consent consent_collection currency_conversion customer_account customer_creation "
        "customer_details customer_email discounts integration_identifier invoice invoice_creation locale managed_payments "
        "origin_context payment_intent payment_link payment_method_configuration_details permissions recovered_from "
        "saved_payment_method_options setup_intent shipping_address_collection shipping_cost submit_type subscription "
        "total_details wallet_options"
    )
    return {
        "id": id,
        "object": "checkout.session",
        "amount_subtotal": 0,
        "amount_total": 0,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": params.get("cancel_url"),
        "created": created,
        "currency": "usd",
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": params.get("customer"),
        "expires_at": created + 24 * 3600,
        "livemode": False,
        "metadata": params.get("metadata", {}),
        "mode": params["mode"],
        "payment_method_collection": "always",
        "payment_method_options": None,
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "success_url": params.get("success_url"),
        "ui_mode": "hosted",
        "url": url,
    } | dict.fromkeys(nothing.split())


def portal_session(id: str, created: int, customer_id: str, return_url: str | None, url: str) -> Json:
    return {
        "id": id,
        "object": "billing_portal.session",
        "configuration": "bpc_standin",
        "created": created,
        "customer": customer_id,
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": None,
        "on_behalf_of": None,
        "return_url": return_url,
        "url": url,
    }


def invoice(id: str, created: int, subscription: Json, lines: list[Json], reason: str, balance: int) -> Json:
    """Return an open invoice.  `balance`: the customer's before it, negative if the customer has a credit."""
    amounts = _amounts(sum(line["amount"] for line in lines), balance)
    return _invoice(id, created, subscription, lines, reason) | amounts


def _amounts(total: int, balance: int) -> Json:
    """Return the amounts of an invoice of which nothing is paid yet."""
    zero = ["amount_overpaid", "amount_paid", "amount_shipping", "attempt_count"]
    full = ["subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"]
    credit = ["post_payment_credit_notes_amount", "pre_payment_credit_notes_amount"]
    balances = {"starting_balance": balance, "ending_balance": min(0, total + balance)}
    due = dict.fromkeys(["amount_due", "amount_remaining"], max(0, total + balance))
    return dict.fromkeys([*zero, *credit], 0) | dict.fromkeys(full, total) | due | balances


def _invoice(id: str, created: int, subscription: Json, lines: list[Json], reason: str) -> Json:
    nothing = (
        "account_name account_tax_ids application automatically_finalizes_at customer_account customer_address customer_email "
        "customer_name customer_phone customer_shipping default_payment_method default_source description due_date effective_at "
        "footer from_invoice hosted_invoice_url invoice_pdf last_finalization_error latest_revision "
        "next_payment_attempt number on_behalf_of receipt_number rendering shipping_cost shipping_details "
        "statement_descriptor test_clock total_pretax_credit_amounts total_taxes webhooks_delivered_at"
    )
    first = subscription["items"]["data"][0]
    return {
        "id": id,
        "object": "invoice",
        "account_country": "US",
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": subscription["automatic_tax"] | {"provider": None, "status": None},
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": created,
        "currency": "usd",
        "custom_fields": None,
        "customer": subscription["customer"],
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "lines": listed(f"/v1/invoices/{id}/lines", lines),
        "livemode": False,
        "metadata": {},
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
            "type": "subscription_details",
        },
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": first["current_period_end"],
        "period_start": first["current_period_start"],
        "status": "open",
        "status_transitions": {
            "finalized_at": created,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "total_discount_amounts": [],
    } | dict.fromkeys(nothing.split())


def line(id: str, amount: int, item: Json, *, proration: bool) -> Json:
    details = {
        "invoice_item": None,
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": item["subscription"],
        "subscription_item": item["id"],
    }
    return {
        "id": id,
        "object": "line_item",
        "amount": amount,
        "currency": "usd",
        "description": None,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": details,
            "type": "subscription_item_details",
        },
        "period": {"end": item["current_period_end"], "start": item["current_period_start"]},
        "pretax_credit_amounts": [],
        "pricing": {"type": "price_details", "unit_amount_decimal": item["price"]["unit_amount_decimal"]},
        "quantity": item.get("quantity"),
        "quantity_decimal": None,
        "subscription": item["subscription"],
        "subtotal": amount,
        "taxes": [],
    }


def meter(id: str, created: int, event_name: str) -> Json:
    return {
        "id": id,
        "object": "billing.meter",
        "created": created,
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
        "default_aggregation": {"formula": "sum"},
        "display_name": event_name,
        "event_name": event_name,
        "event_time_window": None,
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": created,
        "value_settings": {"event_payload_key": "value"},
    }


def meter_event(created: int, params: Json, identifier: str, timestamp: int) -> Json:
    return {
        "object": "billing.meter_event",
        "created": created,
        "event_name": params["event_name"],
        "identifier": identifier,
        "livemode": False,
        "payload": params["payload"],
        "timestamp": timestamp,
    }


def event(id: str, created: int, type: str, subject: Json) -> Json:
    return {
        "id": id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": created,
        "data": {"object": subject},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    }


def listed(url: str, data: list[Json], *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
