"""What lies on the partials: frames and commands, told apart by their tag, of this version and of older ones."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.record.frame import BaselineCommand, Entry, Frame, LateEntry, decode

FIRST_FRAME = bytes.fromhex(
    "9901a763616c6c732f3081a563616c6c73040102072ace009896809194a361707091a46368617406c40101"
)
"""As the first version that had frames wrote it."""
FIRST_COMMAND = bytes.fromhex("9702a361707091a463686174a54472696674c4017807a3616e6e")

INT = st.integers(-(2**63), 2**63 - 1)
SERIES = st.lists(st.text(), max_size=3).map(tuple)
ENTRIES = st.builds(Entry, st.text(), SERIES, INT, st.binary())
LATE = st.builds(LateEntry, st.text(), SERIES, INT, st.binary(), INT)
FRAMES = st.builds(
    Frame, st.text(), st.dictionaries(st.text(), INT, max_size=3), INT, INT, INT, INT, INT,
    st.lists(ENTRIES, max_size=3).map(tuple), st.lists(LATE, max_size=3).map(tuple),
)  # fmt: skip
COMMANDS = st.builds(BaselineCommand, st.text(), SERIES, st.text(), st.none() | st.binary(), INT, st.text())


@given(FRAMES | COMMANDS)
def test_what_is_written_is_read_as_what_it_is(record: Frame | BaselineCommand) -> None:
    read = decode(record.encode())
    assert type(read) is type(record)
    assert read == record


@given(COMMANDS)
def test_a_version_that_knows_frames_only_refuses_a_command(command: BaselineCommand) -> None:
    with pytest.raises(msgspec.ValidationError):
        Frame.decode(command.encode())


@given(st.integers(), st.lists(INT | st.text() | st.binary(), max_size=9))
def test_another_tag_is_refused_whatever_follows(tag: int, rest: list[object]) -> None:
    record = [tag % 2**32 + 3, *rest]
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode(record))


def test_what_older_versions_wrote_is_read() -> None:
    entry = Entry("app", ("chat",), 6, b"\x01")
    assert decode(FIRST_FRAME) == Frame("calls/0", {"calls": 4}, 1, 2, 7, 42, 10_000_000, (entry,))
    assert decode(FIRST_COMMAND) == BaselineCommand("app", ("chat",), "Drift", b"x", 7, "ann")


def test_without_late_calls_a_frame_is_as_older_versions_wrote_it() -> None:
    assert decode(FIRST_FRAME).encode() == FIRST_FRAME


def test_the_tag_is_the_first_element() -> None:
    assert msgspec.msgpack.decode(FIRST_FRAME)[0] == 1
    assert msgspec.msgpack.decode(FIRST_COMMAND)[0] == 2
