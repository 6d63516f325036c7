"""Where a person sees a call's record: the console's page or, if the console is not built, the API's answer."""

import aiohttp


async def path_of(public_url: str, call_id: str) -> str:
    """Return the path of a call's record at a gateway that runs."""
    page = f"/calls/{call_id}"
    try:
        async with aiohttp.ClientSession() as http, http.get(public_url + page) as answer:
            return page if answer.ok else f"/api{page}"
    except aiohttp.ClientError:
        return page
