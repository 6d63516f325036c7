"""Plans as data."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hum import planfile, plans
from hum.refusal import StartupRefusal

FREE = {"id": "free", "name": "Free", "numbers": 1, "minutes": 0, "messages": None, "seats": 1}


def text(*more: dict[str, Any], **members: Any) -> str:
    return json.dumps({"plans": [FREE, *more], **members})


def test_the_packaged_plans_can_be_read() -> None:
    found = planfile.packaged_plans()
    assert found.get("free") is not None
    assert not any(plan.is_for_sale for plan in found.plans), "prices are the operator's"


def test_a_null_limit_is_none_at_all() -> None:
    free = plans.parse(text()).get("free")
    assert free is not None
    assert (free.minutes, free.messages) == (0, None)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("{", "the file: Invalid JSON"),
        ('{"plans": []}', "plans: "),
        (text(FREE), "two plans have the id free"),
        (json.dumps({"plans": [FREE | {"id": "other"}]}), "there is no plan free"),
        (text(FREE | {"id": "a", "seats": -1}), "plans.1.seats: "),
        (text({"id": "a", "name": "A"}), "plans.1.numbers: Field required"),
        (text(FREE | {"id": "a", "price": "price_1"}), "plans.1.price: "),
        (text(FREE | {"id": "a", "price_id": "prod_1"}), "plans.1.price_id: "),
        (text(FREE | {"id": "a", "price_id": "price_1"}, FREE | {"id": "b", "price_id": "price_1"}), "price_1"),
        (text(FREE | {"id": "a", "seat_price_id": "price_1"}), "no price_id"),
        (text(FREE | {"id": "a", "price_id": "price_1", "seat_price_id": "price_2", "seats": None}), "sells seats"),
        (text(FREE | {"id": "Free"}), "plans.1.id: "),
        (text(meters={"hours": "x"}), "meters.hours"),
        (text(FREE | {"id": "a", "minutes": "many"}), "plans.1.minutes: "),
    ],
)
def test_what_is_wrong_with_a_file_is_said(broken: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        plans.parse(broken)


def test_a_file_that_cant_be_used_ends_the_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plans.json").write_text("[]")
    for path in (tmp_path / "plans.json", tmp_path / "none.json", tmp_path):
        with pytest.raises(StartupRefusal):
            planfile.require(path)
        assert f"HUM_PLANS_FILE {path}" in capsys.readouterr().err
    (tmp_path / "large.json").write_text(" " * (planfile.MOST_FILE_BYTES + 1))
    with pytest.raises(StartupRefusal):
        planfile.require(tmp_path / "large.json")
