"""A stand-in for whoever signs people in: an OpenID Connect issuer with one-click users."""

from sandbox.signin.issuer import Issuer

__all__ = ["Issuer"]
