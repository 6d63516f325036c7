"""A stand-in for a customer's server: it records each request as received, and answers as a test sets, or not at all.

    async with Receiver.serve() as receiver:
        # For the first two requests there; then 200 again.
        receiver.say("/hook", Reply(500), Reply(fault=ReceiverFault.HANG))
        ...
        requests = await receiver.wait(2, "/hook")
        requests[0].headers["x-hum-signature"], requests[0].body
        receiver.always("/dead", Reply(fault=ReceiverFault.RESET))

`python -m sandbox.receiver --help` runs it alone.
"""

from sandbox.receiver.receiver import ReceivedRequest, Receiver, ReceiverFault, Reply

__all__ = ["ReceivedRequest", "Receiver", "ReceiverFault", "Reply"]
