"""Phrases that tell a screening assistant from a mailbox, in the languages that we know of.  Pure."""

#: Phrases of screening assistants, in any order, and phrases that only mailboxes use.
_SCREENING_PHRASES = (
    ("reason for calling", "why you're calling", "why you are calling", "reason for your call", "who is calling"),
    ("grund für ihren anruf", "grund ihres anrufs", "warum sie anrufen", "wer anruft"),
    ("motif de votre appel", "raison de votre appel", "pourquoi vous appelez", "qui appelle"),
    ("motivo de su llamada", "motivo de la llamada", "por qué llama", "quién llama"),
    ("motivo della chiamata", "motivo della sua chiamata", "perché chiama", "chi chiama"),
    ("motivo da chamada", "motivo da ligação", "por que está ligando", "quem está ligando"),
)
_MAILBOX_PHRASES = (
    ("after the tone", "after the beep", "at the tone", "leave a message", "leave your message", "leave me a message"),
    ("nach dem signalton", "nach dem ton", "eine nachricht hinterlassen", "hinterlassen sie eine nachricht"),
    ("après le bip", "après le signal", "laissez un message", "laisser un message"),
    ("después del tono", "después de la señal", "deje un mensaje", "deje su mensaje"),
    ("dopo il segnale", "lasciate un messaggio", "lasci un messaggio"),
    ("após o sinal", "depois do sinal", "deixe uma mensagem", "deixe a sua mensagem", "deixe sua mensagem"),
)


def is_screening(heard: str) -> bool:
    """Tell whether a screening assistant, and not a mailbox, said this."""
    text = " ".join(heard.lower().replace("\u2019", "'").split())
    asks = any(phrase in text for phrases in _SCREENING_PHRASES for phrase in phrases)
    return asks and not any(phrase in text for phrases in _MAILBOX_PHRASES for phrase in phrases)
