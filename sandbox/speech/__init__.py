"""Speech for the sandbox: it hears and speaks offline."""

from sandbox.speech.speech import Speech

__all__ = ["Speech"]
