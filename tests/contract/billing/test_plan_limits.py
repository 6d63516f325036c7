"""The limits of plans: numbers, seats, minutes and texts, and warnings before they are reached."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from control.base.subscriptions import Payments
from control.billing.sweeps import rows, warn
from control.calls.ending import end_call
from control.campaigns.dispatching import Dispatcher
from hum import ids
from hum.clock import now
from hum.ids import Kind
from sandbox.stripe import Stripe
from storage import billing, calls
from tests.contract.billing.conftest import checkout, fetched, get, org_of
from tests.contract.conftest import Edge
from tests.contract.test_browser_calls import flow_of, linked, place
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.control.billing.test_metering import USE
from tests.control.campaigns.conftest import LIMITS
from tests.support import billing as stock

#: The live calls were answered so long ago.
LASTS = "UPDATE calls SET status = 'in_progress', answered_at = now() - $1::interval WHERE status IN ('ringing', 'in_progress')"


async def refused(answer: httpx.Response, resource: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "billing_required"), answer.text
    (details,) = answer.json()["error"]["details"]
    assert details["resource"] == resource
    found: dict[str, Any] = details
    return found


async def test_seats_end_with_the_plan(sold: Edge, stripe: Stripe) -> None:
    """Invitations count, concurrent ones too; and what is refused says what would lift it."""
    async with await sold.client() as http:

        async def invite(name: str) -> httpx.Response:
            return await http.post("/api/team/invites", json={"email": f"{name}@x.example", "role": "viewer"})

        answers = await asyncio.gather(*(invite(name) for name in "abcde"))
        assert sorted(each.status_code for each in answers) == [201, 402, 402, 402, 402]
        details = await refused(next(each for each in answers if each.status_code == 402), "seats")
        assert (details["limit"], details["used"], details["lifted_by"], details["upgrade_to"]) == (
            "2",
            "2",
            "plan",
            "business",
        )
        open_one = (await http.get("/api/team/invites")).json()["invites"][0]["email"]
        assert (await invite(open_one.partition("@")[0])).status_code == 201  # it replaces itself

        stripe.book.complete(await checkout(http))
        await get(http)
        await http.patch("/api/billing/subscription", json={"extra_seats": 1})
        assert (await invite("f")).status_code == 201
        assert (await refused(await invite("g"), "seats"))["lifted_by"] == "extra_seats"


async def test_a_smaller_plan_takes_nothing_away(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http, "business"))
        await http.patch("/api/billing/subscription", json={"cancel_at_period_end": False})
        for name in "abc":
            answer = await http.post("/api/team/invites", json={"email": f"{name}@x.example", "role": "viewer"})
            assert answer.status_code == 201, answer.text
        answer = await http.patch("/api/billing/subscription", json={"plan": "starter"})
        seats = next(each for each in answer.json()["resources"] if each["resource"] == "seats")
        assert (seats["used"], seats["limit"], seats["reached"]) == (4, 2, True)
        assert len((await http.get("/api/team/invites")).json()["invites"]) == 3
        await refused(await http.post("/api/team/invites", json={"email": "d@x.example", "role": "viewer"}), "seats")
        assert stripe.book.subscription(made["id"])["status"] == "active"


async def use(edge: Edge, http: httpx.AsyncClient, minutes: int = 0, messages: int = 0) -> None:
    """So much more was used in this hour, as the reader of usage counts it."""
    org = await org_of(http)
    async with edge.plane.control.db.system() as tx:
        for meter, quantity in (("call_minutes", minutes), ("messages_sent", messages)):
            if quantity:
                at = now().replace(minute=0, second=0, microsecond=0)
                await tx.execute(USE, org, at, UUID(int=0), meter, quantity)


async def subscribe(edge: Edge, http: httpx.AsyncClient, stripe: Stripe, plan: str = "starter") -> str:
    """The organization has paid; the id of its subscription."""
    id: str = stripe.book.complete(await checkout(http, plan))["id"]
    await http.patch("/api/billing/subscription", json={"cancel_at_period_end": False})
    return id


async def test_numbers_end_with_the_plan(sold: Edge, stripe: Stripe) -> None:
    """Bought, being bought at once, or registered."""
    async with await sold.client() as http:

        async def buy(last: int) -> httpx.Response:
            return await http.post("/api/numbers/buy", json={"e164": f"+1317555020{last}"})

        answers = await asyncio.gather(*(buy(last) for last in range(3)))
        assert sorted(each.status_code for each in answers) == [201, 402, 402]
        assert len(sold.plane.carrier.bought) == 1
        details = await refused(await http.post("/api/numbers", json={"e164": CALL["To"]}), "numbers")
        assert (details["limit"], details["upgrade_to"]) == ("1", "starter")
        await subscribe(sold, http, stripe)
        assert (await http.post("/api/numbers", json={"e164": CALL["To"]})).status_code == 201


async def test_releasing_numbers_lets_nobody_buy_ever_more_of_them(sold: Edge) -> None:
    async with await sold.client() as http:

        async def bought(last: int) -> httpx.Response:
            """Buy a number, and release it."""
            answer = await http.post("/api/numbers/buy", json={"e164": f"+1317555020{last}"})
            if answer.status_code == 201:
                assert (await http.delete(f"/api/numbers/{answer.json()['id']}")).status_code == 204
            return answer

        assert [(await bought(last)).status_code for last in range(3)] == [201] * 3
        beyond = await bought(3)
        assert (beyond.status_code, beyond.json()["error"]["code"]) == (402, "plan_limit"), beyond.text
        assert len(sold.plane.carrier.bought) == 3
        async with sold.plane.control.db.system() as tx:
            await tx.execute("UPDATE number_purchases SET created_at = now() - interval '32 days'")
        assert (await bought(4)).status_code == 201


async def test_a_caller_hears_that_nobody_can_take_the_call(sold: Edge, stripe: Stripe) -> None:
    """Once the minutes are used up; a call that is under way asks for its next step as ever."""
    http = await flow_with_number(sold)
    before = await post(sold, "/twilio/voice", CALL)
    assert "<Connect" in before.text
    await use(sold, http, minutes=2)
    refusal = await post(sold, "/twilio/voice", CALL | {"CallSid": "CA2"})
    assert "<Say" in refusal.text and "<Connect" not in refusal.text
    again = await post(sold, "/twilio/voice", CALL)  # the carrier asks again about the first
    assert "<Connect" in again.text
    refused_call, _ = (await http.get("/api/calls")).json()["calls"]
    assert (refused_call["status"], refused_call["end_reason"]) == ("failed", "plan_limit")
    await subscribe(sold, http, stripe)
    assert "<Connect" in (await post(sold, "/twilio/voice", CALL | {"CallSid": "CA3"})).text
    await http.aclose()


async def test_live_calls_count_with_the_minutes_that_they_have_begun(sold: Edge) -> None:
    """The plan has two minutes: calls at once would have as many as they like."""
    async with linked(sold), await sold.client() as http:
        flow = await flow_of(http)
        placed = [await place(http, flow) for _ in range(3)]
        assert [each.status_code for each in placed] == [201, 201, 402]
        assert (await refused(placed[2], "minutes"))["used"] == "2"
        await http.post(f"/api/calls/{placed[0].json()['call_id']}/hangup")
        async with sold.plane.control.db.system() as tx:
            await tx.execute(LASTS, timedelta(seconds=59))
            hour = now().replace(minute=0, second=0, microsecond=0)
            assert await billing.count_minutes(tx, await org_of(http), hour, hour + timedelta(hours=2)) == 1
            await tx.execute(LASTS, timedelta(seconds=61))
        assert (await refused(await place(http, flow), "minutes"))["used"] == "2"
        async with sold.plane.control.db.system() as tx:  # it ends, and is not rolled up yet
            call = await calls.lock(tx, ids.require(Kind.CALL, placed[1].json()["call_id"]))
            await end_call(tx, call, "completed", now(), "caller")
        assert (await refused(await place(http, flow), "minutes"))["used"] == "2"


async def test_no_call_is_ordered_without_minutes(sold: Edge) -> None:
    http = await flow_with_number(sold)
    flow = (await http.get("/api/flows")).json()["flows"][0]["id"]
    order = {"flow_id": flow, "to": "+13175550199"}
    ordered = await http.post("/api/outbound/calls", json=order)
    assert ordered.status_code == 201, ordered.text
    await use(sold, http, minutes=2)
    details = await refused(await http.post("/api/outbound/calls", json=order), "minutes")
    assert details["resets_at"].endswith("-01T00:00:00Z")
    await http.aclose()


async def texting(edge: Edge) -> tuple[httpx.AsyncClient, str]:
    """A client, and a conversation of it."""
    http = await edge.client()
    number = (await http.post("/api/numbers", json={"e164": CALL["To"]})).json()["id"]
    await http.patch(f"/api/numbers/{number}", json={"sms_enabled": True})
    wish = {"twilio_number_id": number, "contact_e164": "+13175550157"}
    return http, (await http.post("/api/sms/conversations", json=wish)).json()["id"]


async def test_texts_that_wait_count(sold: Edge, stripe: Stripe) -> None:
    """Ten at once: no more are written than the plan allows and one for each request that was looking at the same time."""
    http, thread = await texting(sold)

    async def send(body: str = "Hi") -> httpx.Response:
        return await http.post(f"/api/sms/conversations/{thread}/messages", json={"body": body})

    assert [(await send()).status_code for _ in range(4)] == [201, 201, 201, 402]
    details = await refused(await send(), "messages")
    assert (details["used"], details["limit"], details["plan"]) == ("3", "3", "free")
    found = next(each for each in (await get(http))["resources"] if each["resource"] == "messages")
    assert (found["used"], found["reached"]) == (3, True)
    await subscribe(sold, http, stripe)
    assert (await send()).status_code == 201
    await http.aclose()


async def test_texts_of_later_periods_count_until_they_are_sent_or_canceled(sold: Edge) -> None:
    """The plan is not asked again when they are sent: a year of texts would be free."""
    http, thread = await texting(sold)
    path = f"/api/sms/conversations/{thread}/messages"
    texts = [{"body": "Hi", "scheduled_at": (now() + timedelta(days=40 * (1 + n))).isoformat()} for n in range(5)]
    answers = [await http.post(path, json=each) for each in texts]
    assert [each.status_code for each in answers] == [201, 201, 201, 402, 402]
    assert (await refused(answers[3], "messages"))["used"] == "3"
    await refused(await http.post(path, json={"body": "Hi"}), "messages")
    assert (await http.delete(f"/api/sms/scheduled/{answers[0].json()['id']}")).is_success
    assert (await http.post(path, json={"body": "Hi"})).status_code == 201
    await http.aclose()


async def test_texts_that_come_in_are_stored_and_opt_outs_confirmed(sold: Edge) -> None:
    """Whatever the plan says."""
    http, thread = await texting(sold)
    await http.patch("/api/organization", json={"keyword_replies": "hum"})
    await use(sold, http, messages=3)
    text = {
        "MessageSid": "SM" + "1" * 32,
        "AccountSid": CALL["AccountSid"],
        "From": "+13175550157",
        "To": CALL["To"],
        "Body": "STOP",
        "NumMedia": "0",
    }
    assert (await post(sold, "/twilio/sms", text)).status_code == 200
    messages = (await http.get(f"/api/sms/conversations/{thread}/messages")).json()["messages"]
    assert {(each["direction"], each["sent_by"]) for each in messages} == {("inbound", None), ("outbound", "system")}
    await http.aclose()


async def test_a_campaign_pauses_at_the_limit_and_goes_on(sold: Edge, stripe: Stripe) -> None:
    http, _ = await texting(sold)
    number = (await http.get("/api/numbers")).json()["numbers"][0]["id"]
    campaign = {
        "name": "News",
        "twilio_number_id": number,
        "body_template": "Hi",
        "honor_quiet_hours": False,
        "recipients": [{"contact_e164": f"+1317555017{last}"} for last in range(5)],
    }
    made = await http.post("/api/sms/campaigns", json=campaign)
    assert made.status_code == 201, made.text
    path = f"/api/sms/campaigns/{made.json()['id']}"
    assert (await http.post(f"{path}/launch")).status_code == 200
    dispatcher = Dispatcher(sold.plane.control.db, LIMITS)
    await dispatcher.dispatch()
    found = (await http.get(path)).json()
    assert (found["status"], found["counts"]["sending"], found["counts"]["pending"]) == ("running", 3, 2)
    # They are sent, and counted.
    async with sold.plane.control.db.system() as tx:
        await tx.execute("UPDATE messages SET status = 'sent', due_at = NULL WHERE due_at IS NOT NULL")
        await tx.execute("UPDATE campaigns SET look_at = now()")
    await use(sold, http, messages=3)
    await dispatcher.dispatch()
    found = (await http.get(path)).json()
    assert (found["status"], found["reason"], found["counts"]["pending"]) == ("paused", "plan_limit", 2)
    await refused(await http.post(f"{path}/launch"), "messages")
    await subscribe(sold, http, stripe)
    assert (await http.post(f"{path}/launch")).status_code == 200
    await dispatcher.dispatch()
    assert (await http.get(path)).json()["counts"]["pending"] == 0
    await http.aclose()


async def test_grace_and_what_comes_after_it(sold: Edge, stripe: Stripe, payments: Payments) -> None:
    """A payment fails: the plan stays for a while, and then the free one's limits apply; nothing is released."""
    http = await flow_with_number(sold)
    id = await subscribe(sold, http, stripe)
    await use(sold, http, minutes=50)
    stripe.book.renew(id, pays=False)
    await stripe.deliver()
    await fetched(sold, payments)
    found = await get(http)
    assert (found["plan"]["id"], found["subscription"]["status"]) == ("starter", "past_due")
    ends = datetime.fromisoformat(found["subscription"]["grace_ends_at"])
    assert timedelta(days=13) < ends - now() < timedelta(days=15)
    assert "<Connect" in (await post(sold, "/twilio/voice", CALL)).text
    async with sold.plane.control.db.system() as tx:  # the days go by
        await tx.execute("UPDATE billing_accounts SET in_force_until = now() - interval '1 second'")
    assert (await get(http))["plan"]["id"] == "free"
    assert "<Connect" not in (await post(sold, "/twilio/voice", CALL | {"CallSid": "CA2"})).text
    assert len((await http.get("/api/numbers")).json()["numbers"]) == 1
    stripe.book.pay(id)
    await stripe.deliver()
    await fetched(sold, payments)
    found = await get(http)
    assert (found["plan"]["id"], found["subscription"]["unpaid_since"]) == ("starter", None)
    assert "<Connect" in (await post(sold, "/twilio/voice", CALL | {"CallSid": "CA3"})).text
    await http.aclose()


async def test_who_was_invited_under_a_bigger_plan_joins_when_there_is_a_seat(sold: Edge, stripe: Stripe) -> None:
    owner = await sold.signed_in()
    await owner.post("/api/organizations", {"name": "Clinic"})
    for name in ("bob", "eve"):  # under the bigger plan
        async with sold.plane.control.db.system() as tx:
            await billing.set_plans(tx, [])
        assert (
            await owner.post("/api/team/invites", {"email": f"{name}@example.com", "role": "viewer"})
        ).status_code == 201
    async with sold.plane.control.db.system() as tx:
        await billing.set_plans(tx, rows(stock.known()))
    bob = await sold.signed_in("bob@example.com")
    (mine,) = (await bob.get("/api/me")).json()["invitations"]
    await refused(await bob.post(f"/api/me/invitations/{mine['id']}/accept"), "seats")
    assert [each["id"] for each in (await bob.get("/api/me")).json()["invitations"]] == [mine["id"]]
    open_ones = (await owner.get("/api/team/invites")).json()["invites"]
    await owner.request("DELETE", f"/api/team/invites/{next(e['id'] for e in open_ones if 'eve' in e['email'])}")
    assert (await bob.post(f"/api/me/invitations/{mine['id']}/accept")).status_code == 200


async def test_warnings_come_once(sold: Edge) -> None:
    async with await sold.client() as http:
        org = await org_of(http)
        await http.post("/api/team/invites", json={"email": "a@x.example", "role": "viewer"})
        for _ in range(2):
            async with sold.plane.control.db.system() as tx:
                await warn(tx, org)
        found = (await http.get("/api/events", params={"type": "limit.warning"})).json()["events"]
        assert [(each["data"]["resource"], each["data"]["percent"]) for each in found] == [("seats", 100)]


async def test_at_80_and_at_100_percent(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        org = await org_of(http)
        await subscribe(sold, http, stripe)
        limit = next(each["limit"] for each in (await get(http))["resources"] if each["resource"] == "minutes")
        for minutes in (limit * 79 // 100, 1, limit - limit * 79 // 100 - 1):
            await use(sold, http, minutes=minutes)
            for _ in range(2):
                async with sold.plane.control.db.system() as tx:
                    await warn(tx, org)
        found = (await http.get("/api/events", params={"type": "limit.warning"})).json()["events"]
        told = [(each["data"]["resource"], each["data"]["percent"], each["data"]["used"]) for each in found]
        assert sorted(told) == [("minutes", 80, limit * 79 // 100 + 1), ("minutes", 100, limit)]
