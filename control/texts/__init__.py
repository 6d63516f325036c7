"""Texts: conversations, the one way that every outbound text takes, and what the carrier says of it."""
