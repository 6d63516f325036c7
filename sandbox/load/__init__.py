"""A load test: many simulated calls at once, percentiles of what their callers experienced, and thresholds to pass.

Each call goes through `sandbox.twilio`: signed webhooks, Media Streams, a real-time playout clock.  A caller listens
until the agent is silent and then speaks; a given share of lines is spoken over the answer instead.  The figures come
from what was played and spoken, not from what the system under test reports.
"""
