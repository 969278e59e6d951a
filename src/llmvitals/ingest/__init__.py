"""Bytes from a topic → Calls.

A format is one file and one line in `FORMATS`. Every reader is total: any bytes are calls or a `BadCall`.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial
from typing import Final, NamedTuple

import msgspec

from llmvitals.errors import BadCall, Code
from llmvitals.ingest import litellm, native, otlp
from llmvitals.ingest.values import Decoded, bad

__all__ = ["FORMATS", "Decoded", "decode"]


class Format(NamedTuple):
    """knows: whether a JSON object with these names is of this format. read: its bytes → calls.

    said: the same with the texts in them, which `read` may leave out.
    """

    knows: Callable[[Container[str]], bool]
    read: Callable[[bytes], Decoded]
    said: Callable[[bytes], Decoded]


FORMATS: Final = {
    "otlp": Format(otlp.knows, otlp.read, partial(otlp.read, texts=True)),
    "litellm": Format(litellm.knows, litellm.read, litellm.said),
    "native": Format(native.knows, native.read, native.read),
}
"""Asked in this order: the most particular names first."""

_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_native: Final = native.DECODER.decode


def decode(value: bytes, *, format: str | None = None, texts: bool = False) -> Decoded:  # noqa: A002 - what the settings call it
    """The calls in one record, in a format of FORMATS; None: recognised from the record itself.

    texts: with what was said in them, which only scorers read. The caller has looked at the size.
    Raises BadCall, for the whole record: its calls stand or fall together.
    """
    if format is None or format == "native":
        try:
            call = _native(value)
            if not value.isascii():
                value.decode()  # msgspec doesn't look into what it skips
            return Decoded([call])
        except (msgspec.MsgspecError, RecursionError, ValueError):
            pass
    try:
        return _slowly(value, format, texts)
    except RecursionError:
        raise bad(Code.NOT_JSON, "The record is nested too deeply") from None
    except UnicodeDecodeError:
        raise bad(Code.NOT_UTF8, "The record is not UTF-8") from None
    except msgspec.ValidationError:
        raise bad(Code.UNKNOWN_FORMAT, "The record is JSON, but no object") from None
    except msgspec.DecodeError:
        raise bad(Code.NOT_JSON, "The record is not JSON") from None


def _slowly(value: bytes, format: str | None, texts: bool) -> Decoded:  # noqa: A002
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
    for one in FORMATS.values():
        if one.knows(names):
            return _read(one, value, texts)
    raise bad(Code.UNKNOWN_FORMAT, "The record has not the fields of any known format")


def _read(form: Format, value: bytes, texts: bool) -> Decoded:
    return form.said(value) if texts else form.read(value)
