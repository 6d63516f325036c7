"""The AI's turns in conversations: when one is owed, what it is made from, and what comes of it."""
