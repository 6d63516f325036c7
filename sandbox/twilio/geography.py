"""Locations of numbers, for Twilio's FromCity and related fields: a few area codes, elsewhere at most the country."""

AREAS = {
    "212": ("NEW YORK", "NY", "10001"),
    "312": ("CHICAGO", "IL", "60601"),
    "317": ("INDIANAPOLIS", "IN", "46204"),
    "415": ("SAN FRANCISCO", "CA", "94102"),
    "512": ("AUSTIN", "TX", "78701"),
    "617": ("BOSTON", "MA", "02108"),
    "646": ("NEW YORK", "NY", "10001"),
}
DEFAULT_AREA = "317"


def area_of(e164: str) -> str:
    return e164[2:5] if e164.startswith("+1") else ""


def place_of(e164: str) -> dict[str, str]:
    """Return City, State, Zip and Country; blank where unknown, since blank fields are sent and signed too."""
    city, state, code = AREAS.get(area_of(e164), ("", "", ""))
    return {"City": city, "State": state, "Zip": code, "Country": "US" if e164.startswith("+1") else ""}
