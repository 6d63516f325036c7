"""Offline speech recognition and synthesis for the sandbox."""

from sandbox.speech.speech import Speech

__all__ = ["Speech"]
