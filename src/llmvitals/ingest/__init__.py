"""Decodes the records of a topic into calls.

To add a format, write a file with a `Format` and add its line to `FORMATS`; for a vocabulary of span
attributes, see `otlp.DIALECTS`. Every reader is total: any bytes give calls or a `BadCall`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmvitals.errors import BadCall, Code, ConfigError, suggestion
from llmvitals.ingest import litellm, native, otlp
from llmvitals.ingest.values import Decoded, Format, bad

__all__ = ["FORMATS", "Decoded", "Format", "check_format", "decode"]


FORMATS: Final[dict[str, Format]] = {
    "otlp": otlp.FORMAT,
    "litellm": litellm.FORMAT,
    "native": native.FORMAT,
}
"""Name in the settings → format. The first that recognises a record reads it: the most specific come
first."""

_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_native: Final = native.DECODER.decode


def decode(value: bytes, *, format: str | None = None, texts: bool = False) -> Decoded:  # noqa: A002 - what the settings call it
    """Decode the calls of one record. format: a name in FORMATS; None: recognised from the record itself.

    texts: whether the calls have their input and output texts, which only scorers read. The caller has
    checked the size. Raises BadCall for the whole record, even if only one of its calls is wrong.
    """
    if format is None or format == "native":
        try:
            call = _native(value)
            if not value.isascii():
                value.decode()  # msgspec does not check the UTF-8 of fields that it skips
            return Decoded([call])
        except (msgspec.MsgspecError, RecursionError, ValueError):
            pass
    try:
        return _decode_any(value, format, texts)
    except RecursionError:
        raise bad(Code.NOT_JSON, "The record is nested too deeply") from None
    except UnicodeDecodeError:
        raise bad(Code.NOT_UTF8, "The record is not UTF-8") from None
    except msgspec.ValidationError:
        raise bad(Code.UNKNOWN_FORMAT, "The record is JSON, but not an object") from None
    except msgspec.DecodeError:
        raise bad(Code.NOT_JSON, "The record is not JSON") from None


def _decode_any(value: bytes, format: str | None, texts: bool) -> Decoded:  # noqa: A002
    if otlp.binary(value):
        return otlp.read(value, texts=texts)
    value.decode()
    if value.lstrip(b" \t\r\n").startswith(b"["):
        return _array(value, format, texts)
    return _object(value, format, texts)


def _array(value: bytes, format: str | None, texts: bool) -> Decoded:  # noqa: A002
    whole = Decoded([])
    filtered = 0
    for index, item in enumerate(_ITEMS.decode(value)):
        try:
            part = _object(bytes(item), format, texts)
        except BadCall as error:
            raise BadCall(error.code, f"[{index}] {error.message}") from None
        whole.calls.extend(part.calls)
        filtered += part.filtered
    return Decoded(whole.calls, filtered)


def _object(value: bytes, format: str | None, texts: bool) -> Decoded:  # noqa: A002
    names = _NAMES.decode(value)
    if format is not None:
        return _read(FORMATS[format], value, texts)
    for known in FORMATS.values():
        if known.knows(names):
            return _read(known, value, texts)
    raise bad(Code.UNKNOWN_FORMAT, "The record does not have the fields of any known format")


def _read(known: Format, value: bytes, texts: bool) -> Decoded:
    return known.read_with_texts(value) if texts else known.read(value)


def check_format(topic: str, name: str) -> None:
    """Raise ConfigError unless there is a format of this name. topic: whose it is, for the message."""
    if name not in FORMATS:
        raise ConfigError(f"formats: {topic}: there is no format {name!r}{suggestion(name, FORMATS)}")
