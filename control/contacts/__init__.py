"""Contacts: the person behind a phone number, as users, CRMs, the carrier and imported files describe them."""
