"""Review: tags, notes and voicemails of calls, and the organization's blocklist."""
