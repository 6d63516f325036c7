"""An organization that texts, as in the tests of texts."""

from tests.control.texts.conftest import Texting, texting

__all__ = ["Texting", "texting"]
