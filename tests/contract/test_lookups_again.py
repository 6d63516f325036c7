"""A contact whose carrier look-up is old or failed is looked up again on request."""

from control.contacts import carrierlookups
from hum import ids
from hum.ids import Kind
from storage import contacts
from tests.contract.conftest import Edge
from tests.contract.test_contacts import ANN, made


async def test_a_contact_is_looked_up_again_once_its_answer_is_old_and_within_the_days_lookups(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    viewer = await edge.client("Viewer", role="viewer")
    ann, db = await made(http, **ANN), edge.plane.control.db
    path, id = f"/api/contacts/{ann['id']}/look-up", ids.require(Kind.CONTACT, str(ann["id"]))

    async def owed() -> int:
        async with db.system() as tx:
            gone = await tx.execute("DELETE FROM pgqueuer WHERE entrypoint = $1", carrierlookups.LOOK_UP_AGAIN.name)
        return int(gone.split()[1])

    assert ((await other.post(path)).status_code, (await viewer.post(path)).status_code) == (404, 403)
    first = await http.post(path)
    assert (first.status_code, first.json(), await owed()) == (202, ann, 1)
    async with db.system() as tx:
        await contacts.record_lookup(tx, id, {"line_type": "mobile"})
    early = await http.post(path)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "invalid_state")
    async with db.system() as tx:
        await tx.execute("UPDATE contacts SET looked_up_at = now() - interval '25 hours'")
    assert ((await http.post(path)).status_code, await owed()) == (202, 1)
    async with db.system() as tx:
        await tx.execute("INSERT INTO lookup_days SELECT org_id, current_date, 1000 FROM contacts")
    used_up = await http.post(path)
    assert (used_up.status_code, used_up.json()["error"]["code"]) == (402, "plan_limit")
    assert "1000 look-ups today" in used_up.text and await owed() == 0
