"""Sentences by which people say, in words of their own, that they want no more texts.  Pure.

Any reasonable wording counts (47 CFR 64.1200(a)(10)).  Here are those that can mean nothing else, so that no model has to be
asked, or be there; what takes understanding is the agent's, which has a tool for it.  A whole sentence has to say it: "don't text me after nine"
and "I never said stop texting me" are for the agent.
"""

import re
import unicodedata

#: A longer message tells more than that.
MOST_CHARS = 300
# Strangers write what these are matched with: in whatever is repeated no alternative may be made of others, or one text takes hours.
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
#: Words in them that stand for nothing by themselves.
_BARE = re.compile(r"opt|opt (?:me|us)|unsubscribe (?:me|us) out")


def revokes(body: str) -> str | None:
    """The sentence by which a message says so; None if it does not."""
    if len(body) > MOST_CHARS:
        return None
    text = unicodedata.normalize("NFKC", body).casefold().replace("\u2019", "'").replace("\u2018", "'")
    for sentence in re.split(r"[.!?;\n]+", text):
        words = " ".join(re.findall(r"[a-z0-9']+", sentence))
        if words and _SENTENCE.fullmatch(words) and not _BARE.fullmatch(words):
            return sentence.strip()
    return None
