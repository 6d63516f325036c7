"""A stand-in for GPT-Live: one session in full duplex on `/v1/live/sessions`."""
