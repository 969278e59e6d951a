"""What a message says → Block Kit, inside every limit of Slack's."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from llmvitals.notify.message import CIRCLES
from llmvitals.notify.slack.block_limits import utf16
from llmvitals.record.view import UNKNOWN
from llmvitals.window import SECOND
from llmvitals.wording import ELLIPSIS, escape, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llmvitals.notify.figure import Sentence, Timed
    from llmvitals.notify.listing import AlertLine, AlertLines
    from llmvitals.notify.message import Notice

HEADER: Final = 150
SECTION: Final = 2_900
WORDS: Final = 2_000
FALLBACK: Final = 1_000
DATE: Final = "{date_short_pretty} {time}"
TIME: Final = "{time}"
FACT: Final = 300
LIST: Final = 5_600
"""All lines of many alerts together."""

Block = dict[str, Any]


def fallback(message: Notice) -> str:
    """One line for notifications, and for when Slack refuses the blocks; escaped."""
    steer = message.steer[0].removesuffix(" until") if message.steer else ""
    labels = ", ".join(f"{name} {value}" for name, value in message.labels)
    words = [_sentence(word, 300) for word in message.words]
    parts = [
        escape(message.title, HEADER), _mentions(message), *map(_short, message.headline), escape(steer),
        escape(message.about, 300), escape(labels, 300), *words, *map(_timed, message.times[:1]),
    ]  # fmt: skip
    kept, room = "", FALLBACK
    for part in filter(None, parts):
        if utf16(part) + 3 > room:
            break
        kept += f" · {part}" if kept else part
        room = FALLBACK - utf16(kept)
    return kept


def blocks(
    message: Notice, *, actions: list[Block] | None = None, charts: Sequence[Block] = ()
) -> list[Block]:
    """The message's blocks; actions: those with its buttons; charts: in place of the trend as bars.

    The limits (section 3,000, header 150, all about 13,200) hold by construction, each text being cut where
    it comes in. No value of a user's call reaches Slack with a raw `<`, `>` or `&`.
    """
    context = [escape(message.about, 300), *map(_timed, message.state)]
    return [
        {"type": "header", "text": _plain(escape(message.title, HEADER))},
        *_contexts(context),
        *map(_section, filter(None, [_facts(message, bars=not charts)])),
        *charts,
        *_contexts([marked_labels(message.labels), _capital(" · ".join(map(_timed, message.times)))]),
        *_words(message),
        *map(_section, _paragraphs(_list(message))),
        *map(_section, filter(None, (_heaviest(message), _links(message)))),
        *(actions or []),
        *_contexts([escape(message.footer, 300)]),
    ]


def trace(name: str, url: str) -> str:
    """A trace's id as text with Slack's marks: its beginning as a link, or all of it to be copied."""
    return f"<{escape(url, 5_000)}|{escape(name[:8].replace('|', '/'))}>" if url else _code(name)


def date(micros: int, form: str = DATE) -> str:
    """A time that Slack shows in each reader's own time zone."""
    text = moment(micros)
    return text if text == UNKNOWN else f"<!date^{micros // SECOND}^{form}|{text}>"


def marked_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Names and values in a line, each value as code."""
    return " · ".join(f"{escape(name, 60)} {_code(value)}" for name, value in labels)


def _facts(message: Notice, *, bars: bool) -> str:
    lines = [
        f"*{' · '.join(map(_short, message.headline))}*" if message.headline else "",
        " · ".join(map(_short, message.detail)),
        message.trend if bars else "",
        f"*{_timed(message.steer)}*" if message.steer else "",
        _mentions(message),
    ]
    return "\n".join(line for line in lines if line)


def _mentions(message: Notice) -> str:
    """Ids as Slack reads them; they come from the rule files, where they are checked."""
    marks = {"S": "<!subteam^{}>", "U": "<@{}>", "W": "<@{}>"}
    return " ".join(marks.get(one[:1], "{}").format(one) for one in message.mention)


def _words(message: Notice) -> Iterator[Block]:
    """What a stranger may have written is plain text, but a sentence with times, which are marks."""
    room = WORDS
    for typed, sentences in itertools.groupby(message.words, key=_is_typed):
        lines = []
        for sentence in sentences:
            lines.append(_sentence(sentence, room))
            room -= utf16(lines[-1]) + 1
        text = "\n".join(filter(None, lines))
        if text:
            yield _section(text) if typed else {"type": "section", "text": _plain(text)}


def _is_typed(sentence: Sentence) -> bool:
    return any(time is not None for _, time in sentence)


def _sentence(sentence: Sentence, room: int) -> str:
    """A sentence with its times, at most `room` long."""
    text = ""
    for part, time in sentence:
        when = f" {date(time)}" if time is not None else ""
        left = room - utf16(text) - utf16(when)
        if left < 1 + len(ELLIPSIS):
            return text
        text += escape(part, left) + when
    return text


def _heaviest(message: Notice) -> str:
    lines = [f"{escape(kind, 60)} {_code(name)} · {used}".lstrip() for kind, name, used in message.heaviest]
    return "\n".join([f"*{escape(message.heading, 150)}*", *lines]) if lines else ""


def _links(message: Notice) -> str:
    traces = " ".join(trace(*one) for one in message.exemplars)
    links = (("Runbook", message.link), ("Dashboard", message.dashboard))
    pages = " · ".join(f"<{escape(url, 5_000)}|{name}>" for name, url in links if url)
    return "\n".join(filter(None, (f"*Calls* {traces}" if traces else "", pages)))


def _list(message: Notice) -> Iterator[str]:
    room, left = LIST, sum(len(lines.lines) for lines in message.lists) + message.more
    for lines in message.lists:
        head = _head(lines)
        texts = [(head, 0), *((text, 1) for text in map(_line, lines.lines))] if head else []
        for text, count in texts or [(text, 1) for text in map(_line, lines.lines)]:
            room -= utf16(text) + 1
            if room < 0:
                break
            left -= count
            yield text
    if left:
        yield f"and {left:,} more"


def _head(lines: AlertLines) -> str:
    rule = f"*{escape(lines.rule, 150)}*" if lines.rule else ""
    return " · ".join(filter(None, (rule, *map(_timed, lines.head))))


def _line(line: AlertLine) -> str:
    facts = " · ".join(filter(None, (_sentence(fact, FACT) for fact in line.facts)))
    text = " ".join(filter(None, [" ".join(map(_code, line.values)), facts]))
    when = date(line.since, TIME) if line.since is not None else line.lasted
    mark = "🔕" if line.muted else CIRCLES[line.colour]
    return f"{mark} {text}" + (f" · {when}" if when else "")


def _timed(timed: Timed, room: int = 300) -> str:
    text, time = timed
    return escape(text, room) + (f" {date(time)}" if time is not None else "")


def _short(timed: Timed) -> str:
    return _timed(timed, 100)


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """The lines in as few texts as a section allows."""
    text = ""
    for line in lines:
        if text and utf16(text) + utf16(line) + 1 > SECTION:
            yield text
            text = ""
        text = f"{text}\n{line}" if text else line
    if text:
        yield text


def _section(text: str) -> Block:
    return {"type": "section", "text": _marked(text)}


def _contexts(texts: Iterable[str]) -> list[Block]:
    """Small print; no block without a text."""
    elements = [_marked(text) for text in texts if text]
    return [{"type": "context", "elements": elements}] if elements else []


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _marked(text: str) -> Block:
    # verbatim: Slack shall not make links and mentions out of what looks like one.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _code(value: str) -> str:
    return f"`{escape(value.replace('`', chr(39)), 150)}`"
