"""The console has words for each scope of the API, in each language."""

import re
from pathlib import Path

import pytest

from hum.contract import authorization
from hum.contract.services import services

TEXTS = Path(__file__).parents[2] / "console/src/i18n"


@pytest.mark.parametrize("language", ["en", "es"])
def test_each_scope_has_words(language: str) -> None:
    methods = [method for service in services() for method in service.methods]
    areas = {authorization.access_of(method).scope.partition(":")[0] for method in methods} - {"", "site"}
    block = re.search(
        r"^const AREAS: .*? = {\n(.*?)^};", (TEXTS / language / "apiKeys.ts").read_text(), re.MULTILINE | re.DOTALL
    )
    assert block and areas == set(re.findall(r'^  (\w+): ".+",$', block[1], re.MULTILINE))
