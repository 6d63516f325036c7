"""A stand-in for an identity provider: an OpenID Connect issuer with one-click sign-in."""

from sandbox.signin.issuer import Issuer

__all__ = ["Issuer"]
