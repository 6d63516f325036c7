"""The inbox: unread conversations, and the stream of their changes and of campaigns."""
