"""Users who can sign in, and their grants, kept in memory.  Codes can be used once."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field


def folded(email: str) -> str:
    """Lower the ASCII letters of an address; leave other characters as they are."""
    return email.encode().lower().decode()


@dataclass(frozen=True)
class User:
    """One user; `subject` never changes, the rest may."""

    email: str
    name: str
    email_verified: bool = True
    #: The account's `sub`; default: derived from the address.
    sub: str = ""

    @property
    def subject(self) -> str:
        return self.sub or hashlib.sha256(folded(self.email).encode()).hexdigest()[:24]

    def claims(self) -> dict[str, object]:
        return {"sub": self.subject, "email": self.email, "email_verified": self.email_verified, "name": self.name}


@dataclass(frozen=True)
class Grant:
    """The content of an authorization code."""

    person: User
    client_id: str
    redirect_uri: str
    nonce: str
    code_challenge: str


@dataclass
class People:
    known: dict[str, User] = field(default_factory=dict)
    codes: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, User] = field(default_factory=dict)

    def add(self, person: User) -> None:
        self.known[folded(person.email)] = person

    def grant(self, grant: Grant) -> str:
        """Issue an authorization code."""
        code = secrets.token_urlsafe(24)
        self.codes[code] = grant
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str, code_verifier: str) -> Grant | None:
        """Return the code's grant, or None unless everything matches.  Either way the code is spent (RFC 6749 §4.1.2)."""
        grant = self.codes.pop(code, None)
        if grant is None or (grant.client_id, grant.redirect_uri) != (client_id, redirect_uri):
            return None
        digest = hashlib.sha256(code_verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return grant if secrets.compare_digest(challenge, grant.code_challenge) else None

    def access(self, person: User) -> str:
        """Issue an access token for userinfo."""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = person
        return token
