"""docs/sms-api.md: its examples, and that what it names is there."""

import re

from control.campaigns import halting
from control.texts import errors
from hum.v1 import campaigns_pb2, sms_pb2
from tests.contract.conftest import Edge
from tests.contract.inbox import numbered
from tests.support import smspage

PAGE = smspage.PAGE.read_text()


async def test_the_examples_answer_as_the_page_says(edge: Edge) -> None:
    http = await edge.client()
    key = http.headers["Authorization"].removeprefix("Bearer ")
    answers = await smspage.run(edge.url, key, await numbered(edge, http))
    assert len(answers) == len(smspage.examples()) >= 18


def test_an_answer_that_is_not_as_the_page_says_is_told() -> None:
    said = {"id": "...", "counts": {"total": 2}, "all": [{"a": 1}], "none": None}
    assert smspage.differs(said, {"id": "x", "counts": {"total": 2, "sent": 0}, "all": [{"a": 1}], "none": None}) == []
    assert smspage.differs(said, {"id": None, "counts": {"total": 3}, "all": []}) == [
        ".id is missing",
        ".counts.total is 3, not 2",
        ".all is [], not [{'a': 1}]",
        ".none is 'absent', not None",
    ]


def test_every_status_and_code_on_the_page_exists() -> None:
    for enum, prefix in (
        (sms_pb2.MessageStatus, "MESSAGE_STATUS_"),
        (campaigns_pb2.CampaignStatus, "CAMPAIGN_STATUS_"),
        (campaigns_pb2.RecipientStatus, "RECIPIENT_STATUS_"),
    ):
        for name in enum.keys()[1:]:
            assert f"`{name.removeprefix(prefix).lower()}`" in PAGE, name
    codes, reasons = (PAGE.partition(f"| {head} | meaning |")[2].partition("\n\n")[0] for head in ("code", "reason"))
    named = re.findall(r"`([a-z_]+|\d{5})`", codes)
    assert len(named) > 10 and set(named) <= set(errors.SENTENCES)
    paused = re.findall(r"^\| (.*?) \|", reasons, re.MULTILINE)
    assert set(re.findall(r"`([a-z_]+)`", " ".join(paused))) <= set(halting.SENTENCES)
