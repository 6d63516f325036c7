"""A stand-in for a customer's server: it records each request as it came, and answers as a test has told it, or not at all.

    async with Receiver.serve() as receiver:
        receiver.say("/hook", Reply(500), Reply(fault=Fault.HANG))    # the first two requests there; then 200 again
        ...
        heard = await receiver.wait(2, "/hook")
        heard[0].headers["x-hum-signature"], heard[0].body
        receiver.always("/dead", Reply(fault=Fault.RESET))

`python -m sandbox.receiver --help` runs it alone.
"""

from sandbox.receiver.receiver import Fault, Heard, Receiver, Reply

__all__ = ["Fault", "Heard", "Receiver", "Reply"]
