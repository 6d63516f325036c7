import pytest

from sandbox.twilio.twiml import BadTwiml, dialled, parameters, parse


def test_verbs_nouns_and_parameters() -> None:
    connect, dial = parse(
        '<?xml version="1.0"?><Response><Connect action="/next"><Stream url="wss://h/m">'
        '<Parameter name="token" value="t"/></Stream></Connect>'
        '<Dial timeout="20"><Number url="/whisper"> +13175550199 </Number></Dial></Response>'
    )
    stream = connect.noun("Stream")
    assert (connect.name, connect.get("action")) == ("Connect", "/next")
    assert stream is not None
    assert (stream.get("url"), parameters(stream)) == ("wss://h/m", {"token": "t"})
    assert (dialled(dial), dial.get("timeout")) == ("+13175550199", "20")


def test_an_empty_response_has_no_verbs() -> None:
    assert parse("<Response/>") == []


@pytest.mark.parametrize(
    ("document", "content_type", "code"),
    [
        ("<Response>", "text/xml", 12100),
        ("", "text/xml", 12100),
        ("<Hello/>", "text/xml", 12100),
        ("<Response><Sing/></Response>", "text/xml", 12200),
        ("<Response><Connect/></Response>", "text/xml", 12200),
        ("<Response><Dial/></Response>", "text/xml", 12200),
        ("<Response/>", "application/json", 12300),
    ],
)
def test_what_cannot_be_executed(document: str, content_type: str, code: int) -> None:
    with pytest.raises(BadTwiml) as bad:
        parse(document, content_type)
    assert bad.value.code == code
