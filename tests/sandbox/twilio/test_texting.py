"""Texts in virtual time: queues, callbacks and their order, opt-outs, and who hears of what."""

import asyncio

import pytest

from sandbox.loopclock import now
from sandbox.twilio.faults import Fault
from sandbox.twilio.message import MediaFile, Message, new_sid, segments
from sandbox.twilio.messagebook import MessageBook
from sandbox.twilio.texting import CannotSend, MessageRequest, Recipient, Service
from tests.sandbox.twilio.virtual import ACCOUNT, NUMBER, PERSON, Desk, House, virtually

SERVICE, OTHER = "MG" + "b" * 32, "+13175550101"


def order(body: str = "hello", **more: object) -> MessageRequest:
    return MessageRequest(PERSON, body, **({"from_": NUMBER, "callback": "http://h/told"} | more))  # type: ignore[arg-type]


def house(desk: Desk | None = None) -> House:
    built = House(desk or Desk())
    number = built.numbers.find(NUMBER)
    assert number is not None
    number.configure({"sms_url": "http://h/sms", "sms_fallback_url": "http://h/spool"})
    built.numbers.add(OTHER).configure({"sms_url": "http://h/sms"})
    return built


def told(built: House) -> list[str]:
    return [fields["MessageStatus"] for fields in built.desk.all("told")]


def test_the_first_status_is_in_the_answer_and_is_not_called_back() -> None:
    async def run() -> None:
        built = house()
        sent = built.texting.send(order())
        assert sent.status == "queued"
        await built.textdesk.settled()
        assert told(built) == ["sent", "delivered"]
        built.texting.services[SERVICE] = Service([NUMBER])
        sent = built.texting.send(order(from_="", service_sid=SERVICE))
        assert (sent.status, sent.shown_segments) == ("accepted", 0)
        await built.textdesk.settled()
        assert told(built)[2:] == ["queued", "sent", "delivered"]
        fields = built.desk.all("told")[-1]
        assert (fields["MessageSid"], fields["MessagingServiceSid"], fields["From"]) == (sent.sid, SERVICE, NUMBER)
        assert (fields["To"], fields["AccountSid"], "ErrorCode" in fields) == (PERSON, ACCOUNT, False)

    virtually(run)


@pytest.mark.parametrize(
    ("recipient", "statuses", "code", "left", "arrived"),
    [
        (Recipient(fails=30007), ["sent", "undelivered"], 30007, 1, False),
        (Recipient(fails=30005, ends="failed"), ["failed"], 30005, 0, False),
        (Recipient(reports=False), ["sent"], None, 1, True),
    ],
)
def test_texts_end_as_their_recipient_says(
    recipient: Recipient, statuses: list[str], code: int | None, left: int, arrived: bool
) -> None:
    async def run() -> None:
        built = house()
        built.texting.recipients["*"] = recipient
        sent = built.texting.send(order())
        await built.textdesk.settled()
        assert (told(built), sent.error_code) == (statuses, code)
        assert built.desk.all("told")[-1].get("ErrorCode") == (str(code) if code else None)
        assert (built.texting.book.sent_to[PERSON], sent.arrived_at is not None) == (left, arrived)
        assert [each.status for each in sent.notices] == statuses

    virtually(run)


def test_callbacks_are_late_doubled_and_lost() -> None:
    async def run() -> None:
        built = house()
        built.faults.add(Fault("message_callback", "late", event="sent", ms=3000))
        built.faults.add(Fault("message_callback", "twice", event="delivered"))
        sent = built.texting.send(order())
        await built.textdesk.settled()
        assert told(built) == ["delivered", "delivered", "sent"]
        assert now() == pytest.approx(3.0, abs=0.1)
        built.faults.add(Fault("message_callback", "never", event="delivered", to=PERSON))
        sent = built.texting.send(order())
        await built.textdesk.settled()
        assert told(built)[3:] == ["sent"]
        assert {each.status: each.lost for each in sent.notices} == {"sent": False, "delivered": True}
        assert sent.status == "delivered"

    virtually(run)


def test_a_number_sends_at_its_pace_and_what_waits_too_long_expires() -> None:
    async def run() -> None:
        built = house()
        built.texting.pace.segments_per_second = 1.0
        three = built.texting.send(order("x" * 400))
        one = built.texting.send(order("one"))
        impatient = built.texting.send(order("now or never", validity_s=3))
        last = built.texting.send(order("last"))
        await built.textdesk.settled()
        left = [
            (each.sent_at - three.created_at).total_seconds() if each.sent_at else None for each in (three, one, last)
        ]
        assert left == [pytest.approx(0, abs=0.01), pytest.approx(3, abs=0.01), pytest.approx(4, abs=0.01)]
        assert (impatient.status, impatient.error_code, impatient.sent_at) == ("failed", 30036, None)
        assert built.texting.book.sent_to[PERSON] == 3

    virtually(run)


def test_a_queue_of_ten_hours_is_full() -> None:
    async def run() -> None:
        built = house()
        built.texting.services[SERVICE] = Service([NUMBER])
        built.texting.pace.segments_per_second = 1 / 18_000.5
        for _ in range(2):
            built.texting.send(order())
        with pytest.raises(CannotSend) as full:
            built.texting.send(order())
        assert full.value.code == 21611
        late = built.texting.send(order(from_="", service_sid=SERVICE))
        await asyncio.sleep(1)
        assert (late.status, late.error_code) == ("failed", 30001)
        await built.close()

    virtually(run)


def test_stop_blocks_the_pair_and_start_lifts_it() -> None:
    async def run() -> None:
        built = house()
        texting = built.texting
        for _ in range(2):
            texting.receive(PERSON, NUMBER, " Stop ")
        with pytest.raises(CannotSend) as refused:
            texting.send(order())
        assert refused.value.code == 21610
        assert texting.send(order(from_=OTHER)).status == "queued", "another number is another pair"
        texting.receive(PERSON, NUMBER, "start")
        texting.receive(PERSON, NUMBER, "YES")
        texting.receive(PERSON, NUMBER, "help")
        assert texting.send(order()).status == "queued"
        await built.textdesk.settled()
        heard = built.desk.all("sms")
        assert [each["Body"] for each in heard] == [" Stop ", " Stop ", "start", "YES", "help"], (
            "the customer hears them too"
        )
        assert all("OptOutType" not in each for each in heard)
        own = [each.body for each in texting.book if each.direction == "outbound-reply"]
        assert ["unsubscribed" in each or "re-subscribed" in each for each in own] == [True, True, False]
        texting.answers_keywords = False
        texting.receive(PERSON, NUMBER, "STOP")
        assert texting.send(order()).status == "queued"
        await built.textdesk.settled()

    virtually(run)


def test_a_messaging_service_blocks_for_all_of_its_numbers_and_says_so_later() -> None:
    async def run() -> None:
        built = house()
        texting = built.texting
        texting.services[SERVICE] = Service([NUMBER, OTHER], advanced_opt_out=True)
        texting.receive(PERSON, OTHER, "STOP")
        sent = texting.send(order(from_="", service_sid=SERVICE))
        assert sent.status == "accepted"
        await built.textdesk.settled()
        assert (sent.status, sent.error_code, sent.sent_at) == ("failed", 21610, None)
        assert built.desk.all("told")[-1]["ErrorCode"] == "21610"
        (heard,) = built.desk.all("sms")
        assert (heard["OptOutType"], heard["MessagingServiceSid"]) == ("STOP", SERVICE)

    virtually(run)


def test_a_received_text_is_told_with_everything_twilio_tells() -> None:
    async def run() -> None:
        built = house()
        built.textdesk.base_url = "http://twilio"
        got = built.texting.receive(PERSON, NUMBER, "", [MediaFile(new_sid("ME"), "image/png", b"png")])
        await built.textdesk.settled()
        fields = built.desk.fields("sms")
        media = f"http://twilio/2010-04-01/Accounts/{ACCOUNT}/Messages/{got.sid}/Media/{got.media[0].sid}"
        assert fields == {
            "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "Body": "", "From": PERSON, "To": NUMBER,
            "MessageSid": got.sid, "SmsSid": got.sid, "SmsMessageSid": got.sid, "SmsStatus": "received",
            "NumMedia": "1", "NumSegments": "1", "MediaUrl0": media, "MediaContentType0": "image/png",
            "FromCity": "SAN FRANCISCO", "FromState": "CA", "FromZip": "94102", "FromCountry": "US",
            "ToCity": "INDIANAPOLIS", "ToState": "IN", "ToZip": "46204", "ToCountry": "US",
        }  # fmt: skip
        assert got.sid.startswith("MM")

    virtually(run)


def test_received_texts_are_doubled_late_and_lost() -> None:
    async def run() -> None:
        built = house()
        built.faults.add(Fault("inbound", "twice"), Fault("inbound", "late", ms=2000), Fault("inbound", "never"))
        sids = [built.texting.receive(PERSON, NUMBER, str(n)).sid for n in range(4)]
        await built.textdesk.settled()
        heard = [each["MessageSid"] for each in built.desk.all("sms")]
        assert sorted(heard) == sorted([sids[0], sids[0], sids[1], sids[3]])
        assert heard[-1] == sids[1]

    virtually(run)


def test_the_customer_may_answer_by_twiml_or_plain_text() -> None:
    async def run() -> None:
        built = house(Desk(sms="<Response><Message>one</Message><Message>two</Message></Response>"))
        built.texting.receive(PERSON, NUMBER, "hello")
        await built.textdesk.settled()
        answers = [each.body for each in built.texting.book if each.direction == "outbound-reply"]
        assert answers == ["one", "two"]
        assert built.texting.book.sent_to[PERSON] == 2

    virtually(run)


def test_one_of_the_accounts_numbers_hears_another_and_handsets_answer() -> None:
    async def run() -> None:
        built = house()
        built.texting.send(MessageRequest(OTHER, "to ourselves", from_=NUMBER))
        built.texting.recipients[PERSON] = Recipient(replies="I am driving")
        built.texting.send(order())
        await built.textdesk.settled()
        heard = [(each["From"], each["To"], each["Body"]) for each in built.desk.all("sms")]
        assert heard == [(NUMBER, OTHER, "to ourselves"), (PERSON, NUMBER, "I am driving")]

    virtually(run)


def test_faults_come_by_chance_and_each_to_its_number() -> None:
    async def run() -> None:
        built = house()
        built.faults.add(Fault("delivery", "fail", code=30008, share=0.25, times=1_000_000))
        built.faults.add(Fault("delivery", "fail", code=30003, to="+14155550199"))
        sent = [built.texting.send(order()) for _ in range(400)]
        other = built.texting.send(MessageRequest("+14155550199", "x", from_=NUMBER))
        await built.textdesk.settled()
        failed = sum(each.error_code == 30008 for each in sent)
        assert 60 <= failed <= 140 and other.error_code in {30003, 30008}

    virtually(run)


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("a" * 1600, 11),
        ("€" * 80, 1), ("€" * 81, 2), ("€" * 152, 2), ("€" * 153, 3),
        ("a" * 152 + "€" + "a" * 152, 3), ("a" * 152 + "€" + "a" * 151, 2),
        ("я" * 70, 1), ("я" * 71, 2), ("я" * 134, 2), ("я" * 135, 3), ("я" * 1600, 24),
        ("\N{GRINNING FACE}" * 35, 1), ("\N{GRINNING FACE}" * 36, 2), ("\N{GRINNING FACE}" * 66, 2),
        ("\N{GRINNING FACE}" * 67, 3), ("a" * 100 + "\N{RIGHT SINGLE QUOTATION MARK}", 2), ("`" * 71, 2),
    ],
)  # fmt: skip
def test_segments_are_as_twilio_counts_them(body: str, number: int) -> None:
    assert segments(body) == number


def test_the_book_forgets_what_is_final_before_what_is_on_its_way() -> None:
    async def run() -> None:
        built = house()
        book = built.texting.book = MessageBook(max_messages=3)
        built.texting.pace.segments_per_second = 0.01
        inbound = built.texting.receive(PERSON, NUMBER, "Hi")
        pending = [built.texting.send(order(str(n))) for n in range(3)]
        assert book.get(inbound.sid) is None
        assert [book.get(each.sid) for each in pending] == pending
        book.set_status(pending[1], "delivered")
        book.set_status(pending[0], "failed")
        later = built.texting.send(order("later"))
        assert [each in list(book) for each in (*pending, later)] == [True, False, True, True]
        built.texting.send(order("last"))
        new = built.texting.receive(PERSON, NUMBER, "Hi again")
        assert [book.get(each.sid) for each in (pending[2], new)] == [None, new], "nothing else is final"
        await built.close()

    virtually(run)


def test_the_book_forgets_the_oldest_but_not_how_many_there_were() -> None:
    async def run() -> None:
        built = house()
        built.texting.book = MessageBook(max_messages=10)
        sent: list[Message] = [built.texting.send(order(str(n))) for n in range(25)]
        await built.textdesk.settled()
        book = built.texting.book
        assert [each.body for each in book.between(PERSON, NUMBER)] == [str(n) for n in range(24, 14, -1)]
        assert book.get(sent[0].sid) is None
        assert (book.sent_to[PERSON], book.sent_from[NUMBER], book.statuses["delivered"]) == (25, 25, 25)

    virtually(run)
