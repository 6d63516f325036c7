"""Checks of a browser's SDP offer before a media process gets it.  Pure."""

MAX_LINES, MAX_LINE_CHARS, MAX_CANDIDATES = 400, 1_000, 50
REQUIRED_LINES = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:")


def fault(sdp: str) -> str | None:
    """Return what is wrong with an offer, as the end of a sentence, or None."""
    lines = sdp.splitlines()
    if not lines or lines[0] != "v=0":
        return "must be an SDP offer, which begins with v=0"
    if len(lines) > MAX_LINES or any(len(line) > MAX_LINE_CHARS for line in lines):
        return f"must have at most {MAX_LINES} lines of {MAX_LINE_CHARS} characters"
    if not all(line.isascii() and line.isprintable() for line in lines):
        return "must be plain text"
    sections = [line for line in lines if line.startswith("m=")]
    if len(sections) != 1 or not sections[0].startswith("m=audio "):
        return "must have exactly one section, of audio"
    if sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
        return f"must have at most {MAX_CANDIDATES} candidates"
    if missing := [prefix for prefix in REQUIRED_LINES if not any(line.startswith(prefix) for line in lines)]:
        return f"must have {missing[0].rstrip(':')}"
    if not any(line.startswith("a=rtpmap:") and "opus/48000" in line.lower() for line in lines):
        return "must offer Opus"
    return None
