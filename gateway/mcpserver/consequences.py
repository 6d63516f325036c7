"""The operations that an agent executes only with `confirm: true`, by the contract, so new ones are covered.  Pure.

An operation that is not known to be harmless needs confirmation: one that deletes, acts at the carrier, returns a
secret, or gives money, access, calls or data away; and any method with a name that does not begin with one of a few verbs.  A
test lists the changes that need no confirmation.
"""

from typing import Final

from gateway.contract import Binding
from hum.contract.authorization import access_of

#: Verbs of methods that can be undone by the same means or change nothing, and reach nobody outside the organization.
HARMLESS_VERBS: Final = ("Create", "Update", "Add", "Duplicate", "Mark", "Close", "Reopen", "Pause", "Search")
#: Areas in which every change is about money, permissions, or where customers' data and calls go.
GRAVE_AREAS: Final = ("billing", "integrations", "numbers", "team", "webhooks")


def needs_confirmation(binding: Binding) -> bool:
    """Tell whether an operation has consequences that a person must confirm."""
    access = access_of(binding.method)
    if binding.verb == "GET":
        return False
    return (
        binding.verb == "DELETE"
        or access.acts_outside
        or access.answers_secret
        or access.scope.partition(":")[0] in GRAVE_AREAS
        or not binding.method.name.startswith(HARMLESS_VERBS)
    )
