from tests.control.texts.conftest import texting

__all__ = ["texting"]
