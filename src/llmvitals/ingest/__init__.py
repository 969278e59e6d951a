"""Decodes the records of a topic into calls.

To add a format, write a file with a `Format` and add its line to `FORMATS`; for a vocabulary of span
attributes, see `otlp.DIALECTS`, and for bodies of a vendor's REST API `rest.VENDORS`. Every reader is total:
any bytes give calls or a `BadCall`.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from llmvitals.errors import BadCall, Code, ConfigError, bad, suggestion
from llmvitals.ingest import litellm, native, otlp, rest
from llmvitals.ingest.values import MOST_REFUSED, Attributes, Context, Decoded, Format
from llmvitals.record.call import Call
from llmvitals.record.native import DECODER

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.settings import Settings

__all__ = ["FORMATS", "Decoded", "Format", "check_format", "decode", "decoder"]


FORMATS: Final[dict[str, Format]] = {
    "otlp": otlp.FORMAT,
    "litellm": litellm.FORMAT,
    "rest": rest.FORMAT,
    "native": native.FORMAT,
}
"""Name in the settings → format. The first that recognises a record reads it: the most specific come
first."""

_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_native: Final = DECODER.decode
_HEADER: Final = 5
"""Bytes that Confluent's serializers put before the JSON: a zero, and the number of its schema."""


def decode(
    value: bytes,
    arrived: int = 0,
    *,
    format: str | None = None,  # noqa: A002 - what the settings call it
    texts: bool = False,
    attributes: Attributes = (),
    max_bytes: int = 0,
) -> Decoded:
    """Decode the calls of one record.

    arrived: when the record came (µs since 1970), for records that tell no time. format: a name in FORMATS;
    None: recognised from the record itself. texts: whether the calls have their input and output texts, which
    only scorers read. attributes: dimension → names of OpenTelemetry attributes, before the default ones.
    max_bytes: of a single call; 0: no limit. The caller has checked the size of the record.

    Raises BadCall if nothing of the record can be read; items of an array or
    of an export that can't be read are in `Decoded.refused`.
    """
    context = Context(texts, attributes, arrived, max_bytes)
    if format == "native" or (format is None and not litellm.likely(value)):
        try:
            call = _native(value)
            if not value.isascii():
                value.decode()  # msgspec does not check the UTF-8 of fields that it skips
        except (msgspec.MsgspecError, RecursionError, ValueError):
            pass
        else:
            _checked(value, context)
            return Decoded([call])
    return _strict(value, context, format)


def decoder(settings: Settings, form: str | None, *, texts: bool = False) -> Callable[..., Decoded]:
    """Return `decode` with what the settings say. form: of the records; None: any. texts: see `decode`."""
    return partial(
        decode,
        format=form,
        texts=texts,
        attributes=tuple((name, tuple(names)) for name, names in settings.otlp_attributes.items()),
        max_bytes=settings.max_record_bytes,
    )


def _checked(value: bytes, context: Context) -> None:
    if 0 < context.max_bytes < len(value):
        raise bad(Code.TOO_LARGE, f"The call has {len(value)} bytes, {context.max_bytes} are allowed")


def _strict(value: bytes, context: Context, format: str | None) -> Decoded:  # noqa: A002
    if value[:1] == b"\0" and value[_HEADER : _HEADER + 1] in (b"{", b"["):
        value = value[_HEADER:]
    try:
        if otlp.binary(value):
            return otlp.read(value, context)
        _ = value.isascii() or value.decode()
        if value.lstrip(b" \t\r\n").startswith(b"["):
            return _array(value, context, format)
        return _object(value, context, format)
    except RecursionError:
        raise bad(Code.NOT_JSON, "The record is nested too deeply") from None
    except UnicodeDecodeError:
        raise bad(Code.NOT_UTF8, "The record is not UTF-8") from None
    except msgspec.ValidationError:
        raise bad(Code.UNKNOWN_FORMAT, "The record is JSON, but not an object") from None
    except msgspec.DecodeError:
        raise bad(Code.NOT_JSON, "The record is not JSON") from None


def _array(value: bytes, context: Context, format: str | None) -> Decoded:  # noqa: A002
    calls: list[Call] = []
    refused: list[BadCall] = []
    unread: Counter[str] = Counter()
    filtered = 0
    items = _ITEMS.decode(value)
    for place, item in enumerate(items):
        try:
            if bytes(item)[:1] == b"[":
                raise bad(Code.UNKNOWN_FORMAT, "The item is an array")
            part = _strict(bytes(item), context, format)
        except BadCall as error:
            refused.append(error.at(place))
            if not calls and len(refused) == min(len(items), MOST_REFUSED):
                if len(items) == 1 or len(refused) == MOST_REFUSED:
                    raise refused[0] from None  # this is no list of events
            elif len(refused) >= MOST_REFUSED:
                break  # the rest is not read
            continue
        calls.extend(part.calls)
        refused.extend(error.at(place) for error in part.refused)
        filtered += part.filtered
        unread.update(part.unread)
    return Decoded(calls, filtered, refused, unread)


def _object(value: bytes, context: Context, format: str | None) -> Decoded:  # noqa: A002
    if format is None and litellm.likely(value):
        try:
            _checked(value, context)
            return litellm.read(value, context)
        except BadCall:
            pass  # its names decide what it is, below
    names = _NAMES.decode(value)
    for name, known in FORMATS.items():
        if format == name or (format is None and known.knows(names)):
            if not known.several:
                _checked(value, context)
            return known.read(value, context)
    raise bad(Code.UNKNOWN_FORMAT, "The record does not have the fields of any known format")


def check_format(topic: str, name: str) -> None:
    """Raise ConfigError unless there is a format of this name. topic: whose it is, for the message."""
    if name not in FORMATS:
        raise ConfigError(f"formats: {topic}: there is no format {name!r}{suggestion(name, FORMATS)}")
