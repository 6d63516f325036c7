"""Many simulated calls at once, and what their callers lived through: percentiles, and thresholds that decide.

Each call speaks through `sandbox.twilio`: signed webhooks, Media Streams, a true playout clock.  A caller listens until
the agent is silent, speaks, and at a given rate speaks over the answer instead.  The figures come from what was played
and spoken, not from what the other side claims.
"""
