"""Contacts: who is behind a phone number, according to a person, a CRM, the carrier or a file."""
