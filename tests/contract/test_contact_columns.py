"""Imports of contacts whose columns somebody has chosen, and the rows that are not imported."""

import csv
import io
from typing import Any

from control.contacts import imports
from tests.contract.conftest import Edge
from tests.contract.test_audit import reads
from tests.contract.test_contacts import imported, made


async def test_columns_become_attributes_beside_those_that_are_there(edge: Edge) -> None:
    http = await edge.client()
    await made(http, phone_e164="+13175551234", attributes_json={"vip": True, "birthday": "1900-01-01"})
    text = "Tel,Born,Shoe,Other\n+13175551234,12/31/1985,38,x\n+13175551235,1/2/1990,,y\n"
    how: dict[str, Any] = {"columns": ["phone_e164", "date:birthday", "attribute:shoe", "ignore"], "date_order": "mdy"}
    tried = await imported(edge, http, text, dry_run=True, **how)
    assert (tried["created"], tried["updated"], tried["ignored_columns"]) == (1, 1, ["Other"])
    assert tried["columns"] == [
        {"title": title, "becomes": becomes}
        for title, becomes in zip(("Tel", "Born", "Shoe", "Other"), how["columns"], strict=True)
    ]
    await imported(edge, http, text, **how)
    found = {each["phone_e164"]: each for each in (await http.get("/api/contacts")).json()["contacts"]}
    assert found["+13175551234"]["attributes_json"] == {"vip": True, "birthday": "1985-12-31", "shoe": "38"}
    assert found["+13175551235"]["attributes_json"] == {"birthday": "1990-01-02"}
    again = await imported(edge, http, text, **how)
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2)
    sent = await http.post("/api/contacts/import", content=text, params=how, headers={"Content-Type": "text/csv"})
    assert sent.status_code == 202, sent.text


async def test_columns_that_do_not_fit_are_refused(edge: Edge) -> None:
    http = await edge.client()
    for columns in (
        ["name", "ignore"],
        ["phone_e164"],
        ["phone_e164", "phone_e164"],
        ["phone_e164", "id"],
        ["phone_e164", "attribute: x"],
    ):
        answer = await http.post("/api/contacts/import", json={"csv": "a,b\n1,2\n", "columns": columns})
        assert answer.status_code == 400, columns
        (field,) = [each["field"].partition("[")[0] for each in answer.json()["error"]["details"]]
        assert field == "columns"


async def test_failed_rows_are_a_file_for_a_week_and_go_with_the_person(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    text = "phone,email,notes\n12,x,=1+1\n(317) 555-1234,nobody,\n+13175551235,a@b.example,\n"
    done = await imported(edge, http, text, default_region="US")
    assert (done["bad_rows"], done["failed_rows"]) == (2, 2)
    path = f"/api/contacts/imports/{done['id']}/failed-rows"
    answer = await http.get(path)
    assert answer.headers["content-disposition"] == 'attachment; filename="not-imported.csv"'
    head, first, second = csv.reader(io.StringIO(answer.text))
    assert head == ["line", "reason", "phone", "email", "notes"]
    assert (first[0], first[2:]) == ("2", ["12", "x", "'=1+1"])
    assert second == ["3", "email: is not an e-mail address", "(317) 555-1234", "nobody", ""]
    assert (await other.get(path)).status_code == 404
    assert await reads(http) == [("test", "getFailedImportRows", done["id"])]
    # Corrected, it can be imported again: what was added to it is left out.
    again = await imported(
        edge,
        http,
        answer.text.replace("nobody", "n@b.example").replace("12,x", "+13175551236,x@b.example"),
        default_region="US",
    )
    assert (again["created"], again["bad_rows"]) == (2, 0)
    ann = (await http.get("/api/contacts", params={"q": "3175551234"})).json()["contacts"][0]
    assert (await http.delete(f"/api/contacts/{ann['id']}/everything")).status_code in (200, 202, 204)
    assert [row[0] for row in csv.reader(io.StringIO((await http.get(path)).text))] == ["line", "2"]
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE contact_imports SET ended_at = ended_at - interval '8 days'")
    await imports.close_stuck_imports(edge.plane.control.db, 3600)
    assert [row[0] for row in csv.reader(io.StringIO((await http.get(path)).text))] == ["line"]
