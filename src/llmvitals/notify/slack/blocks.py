"""What a message says → Block Kit, inside every limit of Slack's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmvitals.notify.message import CIRCLES, HEAVIEST
from llmvitals.notify.slack.limits import utf16
from llmvitals.record.view import UNKNOWN
from llmvitals.window import SECOND
from llmvitals.wording import escape, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmvitals.notify.listing import AlertLine, AlertLines
    from llmvitals.notify.message import Notice, Timed

HEADER: Final = 150
SECTION: Final = 2_900
WORDS: Final = 2_000
LIST: Final = 5_600
"""All lines of many alerts together."""

Block = dict[str, Any]


def fallback(message: Notice) -> str:
    """One line for notifications, and for when Slack refuses the blocks; escaped."""
    labels = ", ".join(f"{name} {value}" for name, value in message.labels)
    lasted = f"lasted {message.lasted}" if message.lasted else f"since {moment(message.times[0][1] or 0)}"
    steer = message.steer[0].removesuffix(" until") if message.steer else ""
    parts = [message.title, message.figure, steer, labels, *message.words, lasted]
    return escape(" · ".join(part for part in parts if part), 1_000)


def blocks(message: Notice, *, actions: list[Block] | None = None) -> list[Block]:
    """The message's blocks; actions: those with its buttons.

    The limits (section 3,000, header 150, all about 13,200) hold by construction, each text being cut where
    it comes in. No value of a user's call reaches Slack with a raw `<`, `>` or `&`.
    """
    words = "\n".join(message.words)
    return [
        {"type": "header", "text": _plain(escape(message.title, HEADER))},
        *([_context(*map(_timed, message.state))] if message.state else []),
        _section(_facts(message)),
        *([{"type": "section", "text": _plain(escape(words, WORDS))}] if words else []),
        *map(_section, _paragraphs(_list(message))),
        *map(_section, filter(None, (_heaviest(message), _links(message)))),
        *(actions or []),
        _context(escape(message.footer, 300)),
    ]


def trace(name: str, url: str) -> str:
    """A trace's id as text with Slack's marks: its beginning as a link, or all of it to be copied."""
    return f"<{escape(url, 5_000)}|{escape(name[:8].replace('|', '/'))}>" if url else _code(name)


def date(micros: int, form: str = "{date_short_pretty} {time}") -> str:
    """A time that Slack shows in each reader's own time zone."""
    text = moment(micros)
    return text if text == UNKNOWN else f"<!date^{micros // SECOND}^{form}|{text}>"


def marked_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Names and values in a line, each value as code."""
    return " · ".join(f"{escape(name, 60)} {_code(value)}" for name, value in labels)


def _facts(message: Notice) -> str:
    times = " · ".join(map(_timed, message.times))
    lines = [
        f"*Lasted {message.lasted}*" if message.lasted else "",
        f"*{escape(message.figure, 300)}*" if message.figure else "",
        message.trend,
        f"*{_timed(message.steer)}*" if message.steer else "",
        marked_labels(message.labels),
        times[:1].upper() + times[1:],
    ]
    return "\n".join(line for line in lines if line)


def _heaviest(message: Notice) -> str:
    lines = [f"{escape(kind, 60)} {_code(name)} · {used}" for kind, name, used in message.heaviest]
    return "\n".join([f"*{HEAVIEST}*", *lines]) if lines else ""


def _links(message: Notice) -> str:
    traces = " ".join(trace(*one) for one in message.exemplars)
    runbook = f"<{escape(message.link, 5_000)}|Runbook>" if message.link else ""
    return "\n".join(filter(None, (f"*Calls* {traces}" if traces else "", runbook)))


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
    return " · ".join(filter(None, (rule, *(escape(part, 300) for part in lines.head))))


def _line(line: AlertLine) -> str:
    parts = [" ".join(map(_code, line.values)), escape(line.figure, 100)]
    text = " ".join(filter(None, parts))
    when = date(line.since, "{time}") if line.since is not None else line.lasted
    return f"{CIRCLES[line.colour]} {text}" + (f" · {when}" if when else "")


def _timed(timed: Timed) -> str:
    text, time = timed
    return escape(text, 300) + (f" {date(time)}" if time is not None else "")


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


def _context(*texts: str) -> Block:
    return {"type": "context", "elements": [_marked(text) for text in texts]}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _marked(text: str) -> Block:
    # verbatim: Slack shall not make links and mentions out of what looks like one.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _code(value: str) -> str:
    return f"`{escape(value.replace('`', chr(39)), 150)}`"
