"""Which operations an agent carries out only with `confirm: true`.  Pure; read from the contract, so new operations are covered.

Whatever is not known to be harmless needs it: deleting, the carrier, secrets, and whatever gives money, access or data away; then any
method whose name does not begin with one of a few verbs.  A test lists the changes that need no confirmation.
"""

from typing import Final

from gateway.contract import Binding
from hum.authorization import access_of

#: What can be undone by the same means or changes nothing, and reaches nobody outside.
HARMLESS_VERBS: Final = ("Create", "Update", "Add", "Duplicate", "Mark", "Close", "Reopen", "Pause", "Search")
#: Areas in which every change is about money, who may do what, or where customers' data goes.
GRAVE_AREAS: Final = ("billing", "team", "webhooks", "integrations")


def needs_confirmation(binding: Binding) -> bool:
    """Tell whether an operation has consequences that a person should have agreed to."""
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
