"""Revocations of consent in a contact's own words.  Pure.

Any reasonable wording counts (47 CFR 64.1200(a)(10)).  These patterns match the unambiguous ones without a model; the agent has a
tool for the rest.  A pattern must match a whole sentence: "don't text me after nine" and "I never said stop texting me" are left
to the agent.
"""

import re
import unicodedata

#: A longer message is left to the agent.
MOST_CHARS = 300
# The input is untrusted: in a repeated group no alternative may be a sequence of others, or one text backtracks for hours.
_ME = r"(?: (?:me|us|this (?:number|phone)|my (?:number|phone|cell)))"
_END = r"(?: (?:now|please|thanks|thank you|again|any|more|anymore|ever|right now|immediately|ok|okay))*"
_WHAT = r"(?: (?:any|these|those|your|the|more|all))*(?: (?:text|sms|spam))?(?: (?:texts|messages|msgs|sms|txts|spam))"
_BEFORE = (
    r"(?:(?:but|please|pls|plz|hey|hi|hello|ok|okay|just|kindly|and|so|sorry|no thanks?|no thank you|wrong number|not interested|"
    r"i said|i want you to|i need you to|you need to|could you|can you|would you) )*"
)
_SAYS = (
    rf"(?:stop|quit|cease) (?:texting|messaging|contacting|spamming|harassing|bothering|sms(?:ing)?){_ME}?",
    rf"(?:stop|quit|cease) sending{_ME}?{_WHAT}(?: to{_ME})?",
    rf"(?:stop|quit|end|cancel)(?: all| these| the| your)* (?:texts|messages|text messages|sms)(?: to{_ME})?",
    rf"(?:do not|don'?t|dont|never)(?: ever)? (?:text|message|contact|sms){_ME}",
    rf"(?:do not|don'?t|dont|never)(?: ever)? send{_ME}{_WHAT}",
    rf"(?:take|remove|delete|get){_ME} (?:off|from|out of)(?: of)? (?:your|the|this)(?: [a-z]+)?(?: [a-z]+)? ?(?:list|lists|system|database|contacts)",
    rf"(?:unsubscribe|opt){_ME}?(?: out)?(?: (?:from|of) (?:this|these|your|all)(?: [a-z]+)?(?: texts| messages| list)?)?",
    rf"i (?:do not|don'?t|dont|no longer) (?:want|wish|need)(?: to (?:get|receive|have))?{_WHAT}(?: from you(?: guys)?)?",
    r"i (?:want|wish|would like|'?d like) (?:to )?(?:unsubscribe|opt out|be (?:removed|taken off)(?: from)?(?: (?:your|the) list)?)",
    r"(?:lose|forget|delete) (?:my|this) number",
    r"leave me alone",
)
_SENTENCE = re.compile(rf"{_BEFORE}(?:{'|'.join(_SAYS)}){_END}")
#: Fragments that the patterns match but that revoke nothing by themselves.
_BARE = re.compile(r"opt|opt (?:me|us)|unsubscribe (?:me|us) out")


def revokes(body: str) -> str | None:
    """Return the sentence of a message that revokes consent, or None."""
    if len(body) > MOST_CHARS:
        return None
    text = unicodedata.normalize("NFKC", body).casefold().replace("\u2019", "'").replace("\u2018", "'")
    for sentence in re.split(r"[.!?;\n]+", text):
        words = " ".join(re.findall(r"[a-z0-9']+", sentence))
        if words and _SENTENCE.fullmatch(words) and not _BARE.fullmatch(words):
            return sentence.strip()
    return None
