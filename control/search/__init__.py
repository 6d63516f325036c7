"""Search across what an organization has: contacts, calls, conversations, flows and campaigns."""
