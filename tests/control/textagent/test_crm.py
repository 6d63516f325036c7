"""Who texts for the first time is looked up in the CRM before the AI answers; nobody waits for it for long."""

from ipaddress import IPv4Network

from control.base.egress import Policy
from control.crm.usecases import Connectors
from hum import ids
from hum.secrets import Keyring
from hum.settings import ControlSettings
from hum.v1 import crm_pb2 as pb
from storage import contacts
from tests.control.crm.conftest import KEYS, Crm, answers, serving
from tests.control.crm.test_lookups import hangs
from tests.control.textagent.conftest import Desk
from tests.control.texts.conftest import CONTACT

LOOKUP = "/contacts/lookup"


async def connect(desk: Desk, one: Crm) -> None:
    """Connect a CRM, and have the contact of whoever writes."""
    async with desk.db.tenant(desk.org) as tx:
        connectors = Connectors(Keyring.parse(KEYS), ControlSettings(), Policy((IPv4Network("127.0.0.0/8"),)))
        await connectors.create(tx, desk.org, pb.CrmConnector(name="Ours", base_url=one.url))
        met = await contacts.find_or_create(tx, ids.new(), desk.org, CONTACT, None)
        await tx.execute("UPDATE conversations SET contact_id = $1", met.id)


async def test_the_answer_to_a_first_text_knows_who_wrote_it(desk: Desk) -> None:
    async with serving() as one:
        one.paths[LOOKUP] = answers({"found": True, "contact": {"id": "7", "name": "Ann", "attributes": {"vip": True}}})
        await desk.hear("Hi")
        await connect(desk, one)
        await desk.take()
        assert "- name: Ann\n" in desk.model.asked[-1].instructions
        assert '- attributes: {"vip": true}' in desk.model.asked[-1].instructions
        await desk.hear("And on Friday?")
        await desk.take()
        assert len(desk.model.asked) == 2 and len(one.asked) == 1, "it is asked once a day"
        assert one.bodies(LOOKUP) == [{"phone": CONTACT, "direction": "inbound", "call_id": None}]


async def test_a_crm_that_hangs_delays_an_answer_by_no_more_than_is_set(desk: Desk) -> None:
    async with serving() as one:
        one.paths[LOOKUP] = hangs
        await desk.hear("Hi")
        await connect(desk, one)
        await desk.take()
        assert len(desk.model.asked) == 1 and len(one.asked) == 1


async def test_nobody_is_looked_up_for_a_thread_that_a_person_answers(desk: Desk) -> None:
    async with serving() as one:
        await desk.hear("Hi")
        await connect(desk, one)
        async with desk.db.tenant(desk.org) as tx:
            await tx.execute("UPDATE conversations SET ai_paused_reason = 'human'")
        await desk.take()
        assert not one.asked and not desk.model.asked
