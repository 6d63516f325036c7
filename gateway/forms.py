"""Forms: multipart/form-data (RFC 7578), parsed in memory by python-multipart."""

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MEDIA_TYPE: Final = "multipart/form-data"
MAX_PARTS: Final = 100
#: The most bytes of a form beside its largest part: boundaries, headers, the other parts.
MOST_BYTES_AROUND: Final = 64 << 10


class BadForm(Exception):  # noqa: N818
    """A body is not a form; the message is a sentence for the client."""


def parts(body: bytes, content_type: str) -> dict[str, list[bytes]]:
    """Return the contents of a form's parts by name.  Raises BadForm."""
    _, options = parse_options_header(content_type)
    if not (boundary := options.get(b"boundary")):
        raise BadForm("The Content-Type of a form must name its boundary.")
    reader = _FormReader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise BadForm(f"The body is not a form: {error}.") from error
    if not reader.is_whole:
        raise BadForm("The body is not a form: its last boundary is missing.")
    return dict(reader.parts)


class _FormReader:
    """The parser's callbacks, and the parts that they have collected."""

    def __init__(self) -> None:
        self.parts: dict[str, list[bytes]] = defaultdict(list)
        self.is_whole = False
        self._count = 0
        self._data = bytearray()
        self._header, self._value, self._name = bytearray(), bytearray(), ""

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise BadForm(f"The form has more than {MAX_PARTS} parts.")
        self._data.clear()
        self._name = ""

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode(errors="replace")
        self._header.clear()
        self._value.clear()

    def _end(self) -> None:
        if not self._name:
            raise BadForm("A part of the form has no name.")
        self.parts[self._name].append(bytes(self._data))

    def _complete(self) -> None:
        self.is_whole = True
