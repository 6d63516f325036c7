"""The AI in text conversations: its turns, prompt, tools and limits."""
