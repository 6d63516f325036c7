"""The pure parts: patterns, shares, schedules, signatures, bodies, lines for people."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from control.webhooks import bodies, eventlines, fairshare, matching, retries, signing
from control.webhooks.bodies import DeliveryContent
from control.webhooks.fairshare import Demand
from control.webhooks.retries import Schedule
from hum import ids

AT = datetime(2026, 3, 5, 15, 4, 5, 678000, tzinfo=UTC)
DEFAULT = Schedule((5, 300, 1800, 7200), 0.2, 3600)


@pytest.mark.parametrize(
    ("patterns", "type", "wanted"),
    [
        ([], "sms.received", True),
        (["*"], "call.completed", True),
        (["sms.*"], "sms.received", True),
        (["sms.*"], "smsx.received", False),
        (["sms.received"], "sms.sent", False),
        (["call.*", "sms.sent"], "sms.sent", True),
        (["external.*"], "external.order.paid", True),
    ],
)
def test_what_a_pattern_stands_for(patterns: Sequence[str], type: str, wanted: bool) -> None:
    assert matching.wants(patterns, type) is wanted


GROUPS = [ids.new(), ids.new()]


@given(
    some.integers(0, 300),
    some.tuples(some.integers(0, 100), some.integers(0, 100)),
    some.lists(some.builds(Demand, some.sampled_from(GROUPS), some.integers(0, 40), some.integers(0, 40)), max_size=40),
)
def test_shares_leave_room_in_all_and_in_each_group(free: int, own: tuple[int, int], demands: list[Demand]) -> None:
    free_of = dict(zip(GROUPS, own, strict=True))
    shares = fairshare.share(free, free_of, demands)
    rest = free - sum(shares)
    left = {
        id: free_of[id] - sum(share for share, demand in zip(shares, demands, strict=True) if demand.group == id)
        for id in GROUPS
    }
    assert min(rest, *left.values()) >= 0
    for share, demand in zip(shares, demands, strict=True):
        assert share <= demand.requested
        room = min(rest, left[demand.group])
        if share < demand.requested:  # it has its part of what is left, or there is nothing
            assert room == 0 or share + demand.in_flight >= max(1, room // 2)
        assert share <= 1 or share + demand.in_flight <= min(free, free_of[demand.group]) // 2


def test_hogs_leave_a_place() -> None:
    (group,) = GROUPS[:1]
    shares = fairshare.share(256, {group: 40}, [Demand(group, 8, 0)] * 7)
    assert max(shares) - min(shares) <= 1
    left = 40 - sum(shares)
    assert fairshare.share(256, {group: left}, [Demand(group, 8, 0)])[0] >= 2


@pytest.mark.parametrize(
    ("retries", "chance", "wish", "seconds"),
    [
        (4, 0.5, None, 5.0),
        (4, 0.0, None, 4.0),
        (4, 1.0, None, 6.0),
        (1, 0.5, None, 7200.0),
        (4, 0.5, 60.0, 60.0),  # later than ours
        (3, 0.5, 60.0, 300.0),  # never earlier
        (4, 0.5, 1e9, 3600.0),  # nor too late
        (0, 0.5, None, None),
        (9, 0.5, None, 5.0),  # of a longer schedule, before the setting was changed
    ],
)
def test_when_it_is_tried_again(retries: int, chance: float, wish: float | None, seconds: float | None) -> None:
    assert DEFAULT.wait_seconds(retries, chance, wish) == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("-3", None),
        ("1e9", None),
        ("99999999999999", None),
        ("Thu, 05 Mar 2026 15:05:05 GMT", 59.322),
        ("Thu, 05 Mar 2026 15:00:00 GMT", 0.0),
        ("soon", None),
        ("²", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    found = retries.retry_after_seconds(header, AT)
    assert found == (pytest.approx(seconds) if seconds is not None else None)


def test_the_standards_vector() -> None:
    secret = "whsec_" + base64.b64encode(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).decode()
    made = signing.headers(
        secrets=[secret],
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        event_type="test",
        delivery_id="del_1",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["webhook-timestamp"] == "1614265330"


def test_a_window_halves_and_grows_back() -> None:
    window = 16
    for succeeded, size in ((False, 8), (False, 4), (False, 2), (False, 1), (False, 1), (True, 2), (True, 3)):
        window = fairshare.widened(window, 16, succeeded)
        assert window == size
    assert fairshare.widened(16, 16, succeeded=True) == 16


def content(data: str) -> DeliveryContent:
    return DeliveryContent(ids.new(AT), ids.new(AT), "sms.received", 1, AT, 7, data)


def test_data_goes_out_word_for_word() -> None:
    data = '{"outcome": {"b": 1.10, "a": 12345678901234567890}}'
    body = bodies.event(content(data))
    assert body.endswith(b',"data":' + data.encode() + b"}")
    assert json.loads(body)["created_at"] == "2026-03-05T15:04:05.678000Z"


@pytest.mark.parametrize("format", ["slack", "discord", "teams", "json"])
def test_half_of_a_character_is_no_obstacle(format: str) -> None:
    body = bodies.body(content(r'{"outcome": {"name": "Ana \ud83d"}}'), format)
    assert json.loads(body) and b"Ana " in body


def test_a_line_is_short_and_calls_nobody() -> None:
    data = {"from": "+1317", "body": "<!here> & <@U1> " + "x" * 5000, "status": None}
    made = eventlines.line("sms.received", json.dumps(data), eventlines.for_slack)
    assert made.startswith("sms.received · from: +1317 · body: &lt;!here&gt; &amp; ")
    assert len(made) == eventlines.LONGEST_LINE
    discord = json.loads(bodies.body(content('{"body": "@everyone"}'), "discord"))
    assert discord["allowed_mentions"] == {"parse": []}


def test_a_text_makes_no_link_with_another_name() -> None:
    text = "[Your bank](https://thief.example/a_b) <https://thief.example|Your bank>"
    made = {
        format: json.loads(bodies.body(content(json.dumps({"body": text})), format))
        for format in ("slack", "discord", "teams")
    }
    title = "sms.received \u00b7 body: "
    assert (
        made["slack"]["text"]
        == f"{title}[Your bank](https://thief.example/a_b) &lt;https://thief.example|Your bank&gt;"
    )
    assert (
        made["discord"]["content"]
        == f"{title}\\[Your bank\\](https://thief.example/a_b) \\<https://thief.example\\|Your bank\\>"
    )
    (block,) = made["teams"]["attachments"][0]["content"]["body"]
    assert (block["type"], block["inlines"]) == ("RichTextBlock", [{"type": "TextRun", "text": title + text}])


def test_a_text_is_one_line_as_it_is_written() -> None:
    text = "Hi *now*\n> call.summary \u00b7 text: pay\u2028# Paid\u202e\U000e0041"
    made = {
        format: json.loads(bodies.body(content(json.dumps({"body": text})), format)) for format in ("slack", "discord")
    }
    plain = "sms.received \u00b7 body: Hi *now* > call.summary \u00b7 text: pay # Paid"
    assert made["slack"] == {"text": plain.replace(">", "&gt;"), "mrkdwn": False}
    assert made["discord"]["content"] == plain.replace("*", "\\*").replace(">", "\\>")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ('{"text": "Anew.", "correction": true}', "sms.received (correction) · text: Anew."),
        ('{"text": "First.", "correction": false}', "sms.received · text: First."),
    ],
)
def test_a_line_names_a_correction(data: str, line: str) -> None:
    assert eventlines.line("sms.received", data, eventlines.as_it_is) == line


@pytest.mark.parametrize("name", ["X-HUM-Signature", "webhook-id", "Content-Type", "User-Agent", "WEBHOOK-TIMESTAMP"])
def test_names_that_are_ours(name: str) -> None:
    assert signing.is_reserved(name)
