"""What a message says → Block Kit, inside every limit of Slack's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmvitals.notify.message import CIRCLES, HEAVIEST
from llmvitals.notify.wording import escape, moment
from llmvitals.record.view import UNKNOWN
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmvitals.notify.message import Line, Notice

HEADER: Final = 150
SECTION: Final = 2_900
LIST: Final = 5_600
"""All lines of many alerts together."""

Block = dict[str, Any]


def fallback(said: Notice) -> str:
    """One line for notifications, and for when Slack refuses the blocks; escaped."""
    labels = ", ".join(f"{name} {value}" for name, value in said.labels)
    lasted = f"lasted {said.lasted}" if said.lasted else f"since {moment(said.times[0][1])}"
    parts = [said.title, said.figure, said.steer, labels, *said.words, lasted]
    return escape(" · ".join(part for part in parts if part), 1_000)


def blocks(said: Notice, *, actions: list[Block] | None = None) -> list[Block]:
    """The message's blocks; actions: those with its buttons.

    The limits (section 3,000, header 150, all about 13,200) hold by construction, each text being cut where
    it comes in. No value of a user's call reaches Slack with a raw `<`, `>` or `&`.
    """
    words = "\n".join(word for word in said.words if word)
    drawn: list[Block] = [
        {"type": "header", "text": _plain(escape(said.title, HEADER))},
        *([_context(said.state)] if said.state else []),
        _section(_facts(said)),
        *([{"type": "section", "text": _plain(escape(words, SECTION))}] if words else []),
        *map(_section, _paragraphs(_list(said))),
    ]
    if said.heaviest:
        lines = [f"{escape(kind, 60)} {_code(name)} · {used}" for kind, name, used in said.heaviest]
        drawn.append(_section(f"*{HEAVIEST}*\n" + "\n".join(lines)))
    if said.exemplars:
        drawn.append(_section("*Calls* " + " ".join(trace(*one) for one in said.exemplars)))
    if said.link:
        drawn.append(_section(f"<{escape(said.link, 5_000)}|Runbook>"))
    return [*drawn, *(actions or []), _context([said.footer])]


def trace(name: str, url: str) -> str:
    """A trace's id as text with Slack's marks: its beginning as a link, or all of it to be copied."""
    return f"<{escape(url, 5_000)}|{escape(name[:8])}>" if url else _code(name)


def date(micros: int, form: str = "{date_short_pretty} {time}") -> str:
    """A time that Slack shows in each reader's own time zone."""
    text = moment(micros)
    return text if text == UNKNOWN else f"<!date^{micros // SECOND}^{form}|{text}>"


def _facts(said: Notice) -> str:
    times = [f"{name} {date(time)}" for name, time in said.times]
    if said.lasted:
        times.insert(0, f"*Lasted {said.lasted}*")
    figure = " ".join(filter(None, (f"*{escape(said.figure, 300)}*" if said.figure else "", said.trend)))
    lines = [figure, f"*{said.steer}*" if said.steer else "", marked_labels(said.labels), " · ".join(times)]
    return "\n".join(line for line in lines if line)


def marked_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Names and values in a line, each value as code."""
    return " · ".join(f"{escape(name, 80)} {_code(value)}" for name, value in labels)


def _list(said: Notice) -> Iterator[str]:
    room = LIST
    for number, line in enumerate(map(_line, said.lines)):
        room -= len(line) + 1
        if room < 0:
            yield f"and {said.more + len(said.lines) - number:,} more"
            return
        yield line
    if said.more:
        yield f"and {said.more:,} more"


def _line(line: Line) -> str:
    rule = f"*{escape(line.rule, 120)}*" if line.rule else ""
    where = " · ".join(filter(None, (rule, marked_labels(line.labels))))
    return f"{CIRCLES[line.colour]} {where or 'all calls'}\n{escape(line.figure, 200)} · {date(line.since)}"


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """The lines in as few texts as a section allows."""
    text = ""
    for line in lines:
        if text and len(text) + len(line) + 1 > SECTION:
            yield text
            text = ""
        text = f"{text}\n{line}" if text else line
    if text:
        yield text


def _section(text: str) -> Block:
    # verbatim: Slack shall not make links and mentions out of what looks like one.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _context(texts: Iterable[str]) -> Block:
    return {"type": "context", "elements": [_plain(escape(text, 300)) for text in texts]}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _code(value: str) -> str:
    return f"`{escape(value.replace('`', chr(39)), 200)}`"
