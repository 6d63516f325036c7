"""The inbox of texts."""

from hum.settings.base import Common, listed, setting


class InboxSettings(Common):
    """Conversations that people work with."""

    text_countries_besides: str = setting(
        "HUM_TEXT_COUNTRIES",
        "",
        "countries (ISO 3166, comma-separated) in which contacts may be texted first besides the texting number's own; *: "
        "all; whoever writes is answered wherever they are",
    )
    wake_seconds: float = setting(
        "HUM_WAKE_SECONDS", 5.0, "seconds between looks for conversations whose snooze is over", gt=0
    )
    inbox_keep_seconds: float = setting(
        "HUM_INBOX_KEEP_SECONDS",
        3600.0,
        "seconds for which a client of the streams of the inbox and of all changes may be away and still gets each; later it loads its lists",
        gt=0,
    )
    inbox_look_seconds: float = setting(
        "HUM_INBOX_LOOK_SECONDS",
        0.1,
        "seconds between looks of these streams, at least",
        gt=0,
    )
    max_templates: int = setting("HUM_MAX_TEMPLATES", 500, "templates of texts that an organization may have", ge=1)

    @property
    def text_countries(self) -> frozenset[str]:
        return frozenset(country.upper() for country in listed(self.text_countries_besides))
