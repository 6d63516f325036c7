"""Texts: conversations, the one path of every outbound text, and the carrier's statuses."""
