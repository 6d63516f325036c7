"""The server's side of OpenAI's Realtime API, without ears, mind and mouth: the stand-in and the plane `hum voice` bring theirs.

A `RealtimeSession` takes client events and gives server events by OpenAI's rules.  It is pure: it owns neither socket nor clock,
and imports nothing of ours.
"""
