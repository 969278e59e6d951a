"""LangSmith's multipart bodies: what they bring, what is wrong with them, and what they may not do."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways import listening
from llmvitals.errors import BadCall
from llmvitals.gateway.multipart import batch_of
from llmvitals.gateway.records import Contents, Form, Reader, Received, form_of
from llmvitals.ingest import decode
from llmvitals.record.call import Call
from llmvitals.settings import Settings
from mutations import broken

RECORDED = json.loads(
    (Path(__file__).parents[1] / "data" / "interop" / "langsmith_rest_runs_feedback.rest.json").read_bytes()
)
BOUNDARY = "41b2f7"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
READER = Reader(Settings())
FIELDS = ("inputs", "outputs", "events", "extra", "error", "serialized")
"""Which LangSmith's clients send in parts of their own."""
IDS = ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002")
Part = tuple[str, bytes, dict[str, str]]


def part(name: str, value: Any, **headers: str) -> Part:
    """A part as the client for Python writes it; underscores in names of headers are hyphens."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    return name, content, {"Content-Type": "application/json", "Content-Length": str(len(content))} | sent


def form(*parts: Part) -> bytes:
    body = b""
    for name, content, headers in parts:
        lines = [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"']
        lines += [f"{header}: {text}" for header, text in headers.items()]
        body += "\r\n".join([*lines, "", ""]).encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def in_parts(body: Any) -> list[Part]:
    """The parts of a batch in JSON."""
    made = []
    for kind, items in body.items():
        for item in items:
            name = f"{kind}.{item['id']}"
            split = FIELDS if kind != "feedback" else ()
            made.append(part(name, {key: value for key, value in item.items() if key not in split}))
            made += [part(f"{name}.{key}", item[key]) for key in split if key in item]
    return made


def read(body: bytes, content_type: str = TYPE, **settings: Any) -> Contents:
    reader = Reader(Settings(**settings)) if settings else READER
    return reader.read(Form.RUNS, Received("POST", "/runs/multipart", body, 1, content_type))


def calls(contents: Contents) -> list[Call]:
    return [call for record in contents.records for call in decode(record.value, 1).calls]


def run(id_: str = IDS[0], **more: Any) -> dict[str, Any]:
    return {
        "id": id_, "run_type": "llm", "start_time": "2026-11-27T16:33:28Z", "end_time": "2026-11-27T16:33:29Z",
        "extra": {"metadata": {"ls_model_name": "gpt-4o", "ls_provider": "openai"}},
        "outputs": {"usage_metadata": {"input_tokens": 10, "output_tokens": 2}}, **more,
    }  # fmt: skip


# What they bring


async def test_a_recorded_conversation_brings_the_same_in_parts_as_in_json() -> None:
    """A run that is posted in one request and patched in another counts once: when it has ended."""
    batches = [request["body"] for request in RECORDED if "batch" in request["path"]]
    async with listening() as client:
        for body in batches:
            answer = await client.post("/ls/runs/multipart", form(*in_parts(body)), TYPE)
            assert (answer.status, set(answer.json)) == (200, {"accepted", "ignored"})
        taken = [decode(value, 1).calls for value in client.values]
    expected = [
        decode(json.dumps({"path": "/ls/runs/batch", "body": body}).encode(), 1).calls for body in batches
    ]
    assert taken == expected
    assert [call.input_tokens for found in taken for call in found]


TEXTS = st.none() | st.text(max_size=5)
USAGE = st.dictionaries(
    st.sampled_from(["input_tokens", "output_tokens", "total_tokens"]), st.integers(0, 99)
)
HALVES = st.fixed_dictionaries(
    {"id": st.sampled_from(IDS)},
    optional={
        "run_type": st.sampled_from(["llm", "retriever", "tool", "chain"]), "name": TEXTS, "error": TEXTS,
        "start_time": st.just("2026-11-27T16:33:28Z"), "end_time": st.just("2026-11-27T16:33:29Z"),
        "inputs": st.dictionaries(st.text(max_size=3), TEXTS, max_size=2),
        "outputs": st.fixed_dictionaries({}, optional={"usage_metadata": USAGE, "text": TEXTS}),
        "extra": st.fixed_dictionaries({"metadata": st.fixed_dictionaries({}, optional={"ls_model_name": TEXTS})}),
    },
)  # fmt: skip
BATCHES = st.fixed_dictionaries(
    {kind: st.lists(HALVES, max_size=2, unique_by=lambda half: str(half["id"])) for kind in ("post", "patch")}
)


@given(BATCHES, st.randoms(use_true_random=False))
def test_parts_in_any_order_bring_what_the_batch_in_json_brings(batch: Any, dice: random.Random) -> None:
    parts = in_parts(batch)
    dice.shuffle(parts)
    if not parts:
        return
    (record,) = read(form(*parts)).records
    as_json = decode(json.dumps({"path": "/runs/batch", "body": batch}).encode(), 1)
    assert sorted(decode(record.value, 1).calls, key=repr) == sorted(as_json.calls, key=repr)


def test_runs_and_feedback_of_one_body() -> None:
    feedback = {"key": "helpful", "score": 0.5, "run_id": IDS[0], "feedback_source": {"type": "api"}}
    body = form(*in_parts({"post": [run()]}), part(f"feedback.{IDS[1]}", feedback))
    chat, score = calls(read(body))
    assert (chat.model, chat.input_tokens, chat.output_tokens) == ("gpt-4o", 10, 2)
    assert (score.scores, score.target_id) == ({"helpful": 0.5}, IDS[0])


def test_what_the_client_for_javascript_writes() -> None:
    """No Content-Length, a length in the type, and a boundary that begins with hyphens."""
    name, content, _ = part(f"post.{IDS[0]}", run())
    body = form((name, content, {"Content-Type": f"application/json; length={len(content)}"}))
    hyphens = "----LangSmithFormBoundary7"
    body = body.replace(BOUNDARY.encode(), hyphens.encode())
    (call,) = calls(read(body, f'multipart/form-data; boundary="{hyphens}"'))
    assert call.input_tokens == 10


def test_attachments_and_texts_do_not_arrive() -> None:
    attached = part(
        f"attachment.{IDS[0]}.my.picture", b"\x89PNG planted\r\n--no boundary", Content_Type="image/png"
    )
    contents = read(form(*in_parts({"post": [run(inputs={"question": "planted"})]}), attached))
    (call,) = calls(contents)
    assert (call.input_text, call.output_text, contents.refused) == (None, None, [])
    assert b"PNG" not in contents.records[0].value


def test_no_api_key_is_left() -> None:
    contents = read(form(*in_parts({"post": [run(inputs={"api_key": "sk-planted"})]})))
    assert b"sk-planted" not in contents.records[0].value


# What is wrong with a part


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (part(f"patch.{IDS[1]}", b'{"id": '), "is not JSON"),
        (part(f"patch.{IDS[1]}", b"[]"), "is no JSON object"),
        (part(f"patch.{IDS[1]}.outputs", b"\xff"), "is not JSON"),
        (part(f"patch.{IDS[1]}.outputs", b"[" * 500 + b"]" * 500), "is nested too deeply"),
        (part(f"patch.{IDS[1]}", {}, Content_Length="7"), "Content-Length: is not the length"),
        (part(f"patch.{IDS[1]}", {}, Content_Encoding="zstd"), "Content-Encoding: is none of identity, gzip, deflate"),
        (part(f"patch.{IDS[1]}", b"planted", Content_Encoding="gzip"), "is not what Content-Encoding says"),
        (part("planted", {}), "name: is not post.ID, patch.ID"),
        (part(f'patch.{IDS[1]}"; more="', {}), "name"),
    ],
)  # fmt: skip
def test_a_bad_part_falls_alone_and_the_answer_says_why(wrong: Part, told: str) -> None:
    good = in_parts({"post": [run()]})
    contents = read(form(good[0], wrong, *good[1:]))
    assert [call.input_tokens for call in calls(contents)] == [10]
    if "more" not in wrong[0]:
        (error,) = contents.refused
        assert error.message.startswith("[1] ")
        assert told in error.message
        assert "planted" not in error.message
        with pytest.raises(BadCall, match=told):
            read(form(wrong))


def test_a_part_without_a_name_or_headers_falls_alone() -> None:
    body = form(*in_parts({"post": [run()]}))
    nothing = f"--{BOUNDARY}\r\n\r\nplanted\r\n--{BOUNDARY}x\r\n\r\n{{}}\r\n".encode()
    contents = read(nothing + body)
    assert [call.input_tokens for call in calls(contents)] == [10]
    assert [error.item for error in contents.refused] == [0, 1]


def test_a_body_that_was_cut_brings_the_parts_before() -> None:
    one, other = (form(*in_parts({"post": [run(id_)]})) for id_ in IDS)
    whole = one.removesuffix(b"--\r\n") + b"\r\n" + other.split(b"\r\n", 1)[1]
    assert len(calls(read(whole))) == 2
    contents = read(whole[:-30])
    assert contents.refused[-1].message.startswith("The body ends early")
    assert len(calls(contents)) == 2  # of the second only a field is missing


@pytest.mark.parametrize(
    "content_type", ["", "multipart/form-data", "multipart/form-data; boundary=" + "b" * 71]
)
def test_without_a_boundary_nothing_can_be_read(content_type: str) -> None:
    with pytest.raises(BadCall, match="Content-Type: has no boundary"):
        read(form(part(f"post.{IDS[0]}", run())), content_type)


@given(st.integers(), st.binary(max_size=99))
def test_any_damage_gives_runs_or_an_error(seed: int, more: bytes) -> None:
    body = broken(form(*in_parts({"post": [run()], "patch": [run(IDS[1])]})), random.Random(seed))
    for damaged in (body, more + body, more):
        with suppress(BadCall):
            contents = read(damaged)
            assert len(calls(contents)) <= 4
            assert all(len(error.message) <= BadCall.LIMIT for error in contents.refused)


# What they may not do


async def test_the_whole_body_and_its_parts_may_be_compressed() -> None:
    packed = [
        part(name, gzip.compress(content), Content_Encoding="gzip")
        for name, content, _ in in_parts({"post": [run()]})
    ]
    body = form(*packed)
    async with listening() as client:
        for encoding, sent in (
            ("gzip", gzip.compress(body)),
            ("deflate", zlib.compress(body)),
            ("identity", body),
        ):
            answer = await client.post("/runs/multipart", sent, TYPE, Content_Encoding=encoding)
            assert (answer.status, answer.json) == (200, {"accepted": 1, "ignored": 0})


def test_what_parts_unpack_to_is_limited_in_all() -> None:
    bomb = gzip.compress(b'{"a":"' + b" " * 3_000 + b'"}')
    bombs = [part(f"post.{number}", bomb, Content_Encoding="gzip") for number in range(50)]
    contents = read(form(*bombs), gateway_max_bytes=4_096)
    assert contents.filtered == 1
    assert len(contents.refused) == 49
    assert "LLMVITALS_GATEWAY_MAX_BYTES" in contents.refused[0].message


def test_the_number_of_parts_is_limited() -> None:
    many = form(*[part(f"attachment.{IDS[0]}.a", b"")] * 9_000, *in_parts({"post": [run()]}))
    assert len(calls(read(many))) == 1
    with pytest.raises(BadCall, match="more than 10,000 parts"):
        batch_of(b"\r\n--b" * 800_000, "multipart/form-data; boundary=b", 1)


@pytest.mark.parametrize(
    ("content_type", "headers", "status", "told"),
    [
        ("application/json", {}, 415, "multipart/form-data"),
        (None, {}, 415, "multipart/form-data"),
        (TYPE, {"Origin": "https://example.com"}, 403, "pages in a browser"),
        (TYPE, {"Content_Encoding": "zstd"}, 415, "gzip, deflate or without compression"),
    ],
)
async def test_what_is_refused(
    content_type: str | None, headers: dict[str, str], status: int, told: str
) -> None:
    async with listening() as client:
        answer = await client.post(
            "/runs/multipart", form(*in_parts({"post": [run()]})), content_type, **headers
        )
        assert (answer.status, client.values) == (status, [])
        assert told in answer.json["error"]


async def test_a_page_in_a_browser_cannot_send_a_form_to_another_path() -> None:
    async with listening() as client:
        answer = await client.post("/runs/batch", form(*in_parts({"post": [run()]})), TYPE)
        assert answer.status == 415


async def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    async with listening(gateway_max_bytes=4_096) as client:
        attached = part(f"attachment.{IDS[0]}.a", b"x" * 9_000)
        answer = await client.post("/runs/multipart", form(*in_parts({"post": [run()]}), attached), TYPE)
        assert answer.status == 413


def test_its_path_may_have_a_prefix() -> None:
    assert [form_of(path) for path in ("/runs/multipart", "/ls/runs/multipart/", "/runs/batch")] == [
        Form.RUNS,
        Form.RUNS,
        Form.REST,
    ]
