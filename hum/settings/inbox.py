"""The inbox of texts."""

from hum.settings.base import Common, constant, listed, setting


class InboxSettings(Common):
    """Conversations that people work with."""

    text_countries_besides: str = setting(
        "HUM_TEXT_COUNTRIES",
        "",
        "countries (ISO 3166, comma-separated) in which contacts may be texted first besides the texting number's own; *: "
        "all; whoever writes is answered wherever they are",
    )
    inbox_look_seconds: float = constant(
        0.1,
        "seconds between looks of these streams, at least",
        gt=0,
    )

    @property
    def text_countries(self) -> frozenset[str]:
        return frozenset(country.upper() for country in listed(self.text_countries_besides))
