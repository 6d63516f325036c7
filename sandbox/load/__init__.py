"""A load test: many simulated calls at once, percentiles of what their callers experienced, and thresholds to pass.

Each call goes through `sandbox.twilio`: signed webhooks, Media Streams, a real-time playout clock.  A caller listens
until the agent is silent and then speaks; a given share of lines interrupts the answer instead.  The figures come
from the audio that was played and spoken, not from reports of the system under test.
"""
