"""Where a person sees the record of a call or the thread of a text: the console's page or, if the console is not built, the API's answer."""

import aiohttp


async def path_of(public_url: str, call_id: str) -> str:
    """Return the path of a call's record at a gateway that runs."""
    return await page_or(public_url, f"/calls/{call_id}", f"/api/calls/{call_id}")


async def page_or(public_url: str, page: str, api: str) -> str:
    """Return the path of a console's page, or that of the API where the console is not built."""
    try:
        async with aiohttp.ClientSession() as http, http.get(public_url + page) as answer:
            return page if answer.ok else api
    except aiohttp.ClientError:
        return page
