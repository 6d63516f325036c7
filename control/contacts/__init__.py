"""Contacts: who is behind a phone number, by word of a person, a CRM, the carrier or a file."""
