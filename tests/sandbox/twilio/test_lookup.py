"""The carrier's directory on the wire."""

import httpx
import pytest

from sandbox.twilio import Carrier

ACCOUNT, TOKEN = "AC" + "3" * 32, "token"


async def test_a_number_is_looked_up_and_the_asking_is_counted() -> None:
    async with Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN) as carrier:
        async with httpx.AsyncClient(base_url=carrier.url, trust_env=False) as http:
            listing = {
                "caller_name": "ACME INC",
                "caller_type": "BUSINESS",
                "carrier_name": "Verizon",
                "type": "landline",
            }
            assert (await http.put("/sandbox/lookups/+13175550199", json=listing)).status_code == 204
            assert (await http.put("/sandbox/lookups/+13175550199", json={"colour": 1})).status_code == 400
            path, account = "/v2/PhoneNumbers/+13175550199", (ACCOUNT, TOKEN)
            found = (await http.get(path, params={"Fields": "caller_name"}, auth=account)).json()
            assert (found["phone_number"], found["country_code"], found["valid"]) == ("+13175550199", "US", True)
            assert found["caller_name"] == {"caller_name": "ACME INC", "caller_type": "BUSINESS", "error_code": None}
            assert found["line_type_intelligence"] is None, "it was not requested"
            both = {"Fields": "caller_name,line_type_intelligence"}
            found = (await http.get(path, params=both, auth=account)).json()
            assert (found["line_type_intelligence"]["carrier_name"], found["national_format"]) == (
                "Verizon",
                "(317) 555-0199",
            )
            assert (await http.get("/sandbox/lookups")).json() == {"asked": ["+13175550199"] * 2}


@pytest.mark.parametrize(
    ("path", "auth", "status", "code"),
    [
        ("/v2/PhoneNumbers/+13175550199", (ACCOUNT, "wrong"), 401, 20003),
        ("/v2/PhoneNumbers/nobody", (ACCOUNT, TOKEN), 404, 20404),
    ],
)
async def test_what_is_refused_is_not_counted(path: str, auth: tuple[str, str], status: int, code: int) -> None:
    async with Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN) as carrier:
        async with httpx.AsyncClient(base_url=carrier.url, trust_env=False) as http:
            answer = await http.get(path, auth=auth)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert carrier.directory.lookups == []
