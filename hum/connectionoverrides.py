"""The timeouts and retries that we ask of the carrier, in the fragment of each URL that it requests.  Pure."""

#: Twilio "Webhooks connection overrides": five retries on every kind of failure, connect timeout 2 s, read timeout 5 s.
#: Neither sent nor signed.
OVERRIDES = "#rc=5&rp=all&ct=2000&rt=5000"
