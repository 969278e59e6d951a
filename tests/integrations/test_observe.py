"""`observe` and `update`: every kind of function, nesting, labels, failures, and what an application hands in wrongly."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from hypothesis import given
from hypothesis import strategies as st

from llmvitals import Publisher
from llmvitals.ingest import decode
from llmvitals.integrations import observe, openai, update
from llmvitals.record.call import Call
from llmvitals.settings import Settings
from waiting import deadline


class Events(list[dict[str, Any]]):
    """Takes the place of a Publisher."""

    def publish(self, call: Mapping[str, Any], /) -> bool:
        self.append(dict(call))
        return True

    @property
    def calls(self) -> list[Call]:
        return [call for event in self for call in decode(orjson.dumps(event)).calls]


@pytest.fixture
def events() -> Events:
    return Events()


# --- kinds of functions ---------------------------------------------------------------------------


def test_a_function_stays_what_it_is(events: Events) -> None:
    @observe(events, model="m")
    def plain() -> int:
        """Say."""
        return 7

    @observe(events, model="m")
    async def coroutine() -> int:
        return 7

    @observe(events, model="m")
    def generator() -> Iterator[int]:
        yield 7

    @observe(events, model="m")
    async def async_generator() -> AsyncIterator[int]:
        yield 7

    assert (plain.__name__, plain.__doc__, plain()) == ("plain", "Say.", 7)
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)
    assert asyncio.run(coroutine()) == 7
    assert list(generator()) == [7]

    async def collected() -> list[int]:
        return [item async for item in async_generator()]

    assert asyncio.run(collected()) == [7]
    assert [(call.model, call.status, call.stream) for call in events.calls] == [
        ("m", "ok", None), ("m", "ok", None), ("m", "ok", True), ("m", "ok", True),
    ]  # fmt: skip
    assert [event.get("ttft_ms") is not None for event in events] == [False, False, True, True]


@given(st.lists(st.integers() | st.none(), max_size=5), st.integers())
def test_a_generator_takes_and_gives_what_it_does_without(given_: list[int | None], result: int) -> None:
    def echo() -> Any:
        received = []
        for number in range(len(given_)):
            try:
                received.append((yield number))
            except KeyError as error:
                received.append(str(error))
        return received, result

    def conversation(generator: Any) -> Any:
        said: list[Any] = [next(generator, None)]
        try:
            for value in given_:
                said.append(generator.throw(KeyError("k")) if value is None else generator.send(value))  # noqa: PERF401
        except StopIteration as end:
            said.append(end.value)
        return said

    if given_:
        assert conversation(observe(Events(), model="m")(echo)()) == conversation(echo())


def test_an_async_generator_takes_what_is_sent_and_thrown(events: Events) -> None:
    @observe(events, model="m")
    async def echo() -> Any:
        received = yield 1
        try:
            yield received
        except KeyError:
            yield "caught"

    async def conversation() -> list[Any]:
        generator = echo()
        said = [await anext(generator), await generator.asend("a"), await generator.athrow(KeyError())]
        return [*said, await anext(generator, "end")]

    assert asyncio.run(conversation()) == [1, "a", "caught", "end"]
    assert [call.status for call in events.calls] == ["ok"]


# --- how it ends ----------------------------------------------------------------------------------


def test_an_exception_is_raised_as_it_is_and_told_by_its_class(events: Events) -> None:
    error = ValueError("secret")

    @observe(events, model="m")
    def fails() -> None:
        raise error

    with pytest.raises(ValueError, match="secret") as raised:
        fails()
    assert raised.value is error
    (call,) = events.calls
    assert (call.status, call.error_type) == ("error", "ValueError")
    assert "secret" not in json.dumps(events)


def test_a_cancelled_task_is_an_error_and_a_closed_generator_is_none(events: Events) -> None:
    @observe(events, model="task")
    async def waits() -> None:
        await asyncio.Event().wait()

    @observe(events, model="generator")
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    @observe(events, model="async generator")
    async def async_numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def run() -> None:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        closed: Any = async_numbers()
        await anext(closed)
        await closed.aclose()

    asyncio.run(run())
    for _ in numbers():
        break
    assert {call.model: (call.status, call.error_type, call.finish_reason) for call in events.calls} == {
        "task": ("error", "cancelled", None),
        "generator": ("ok", None, "cancelled"),
        "async generator": ("ok", None, "cancelled"),
    }


# --- nesting and labels ---------------------------------------------------------------------------


def test_what_is_inside_has_the_trace_and_the_labels_of_what_is_around(events: Events) -> None:
    with (
        observe(events, user="u-1", tags={"region": "eu", "tier": "a"}),
        observe(events, "agent", agent="planner"),
    ):
        update(session="s-1", input_tokens=5)
        with observe(events, model="m", user="u-2", tags={"tier": "b"}) as call:
            call.set(output_tokens=3)
    model, agent = events.calls
    assert (model.operation, agent.operation) == ("chat", "agent")
    assert model.trace_id == agent.trace_id
    assert model.parent_id == agent.span_id
    assert (model.user, model.session, model.agent) == ("u-2", "s-1", "planner")
    assert model.tags == {"region": "eu", "tier": "b"}
    assert (model.input_tokens, model.output_tokens, agent.input_tokens) == (None, 3, 5), (
        "numbers stay where they are"
    )


def test_tasks_and_generators_keep_their_own(events: Events) -> None:
    @observe(events, model="stream")
    async def numbers(user: str) -> AsyncIterator[int]:
        update(user=user)
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    async def read(user: str) -> None:
        async for _ in numbers(user):
            with observe(events, model="between"):
                pass

    async def run() -> None:
        await asyncio.gather(*(read(f"u-{number}") for number in range(3)))

    asyncio.run(run())
    streams = [call for call in events.calls if call.model == "stream"]
    between = [call for call in events.calls if call.model == "between"]
    assert sorted(call.user or "" for call in streams) == ["u-0", "u-1", "u-2"]
    assert {(call.user, call.parent_id) for call in between} == {(None, None)}
    assert len(between) == 9


def test_an_outer_call_of_the_same_operation_is_a_wrapper(events: Events) -> None:
    with observe(events, model="outer", user="u"):
        with observe(events, model="inner"):
            pass
        with observe(events, "embedding", model="vectors"):
            pass
    assert [(call.model, call.user) for call in events.calls] == [("inner", "u"), ("vectors", "u")]


def test_without_a_model_there_is_no_event(events: Events) -> None:
    with observe(events, user="u"):
        pass
    assert events == []


def test_a_tool_has_the_name_of_its_function(events: Events) -> None:
    @observe(events, operation="tool")
    def look_up() -> None:
        """Look up."""

    look_up()
    assert [[tool.name for tool in call.tools or ()] for call in events.calls] == [["look_up"]]


# --- what is handed in wrongly --------------------------------------------------------------------


def test_wrong_fields_are_left_out_with_a_warning(events: Events, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "llmvitals.integrations")
    with observe(events, model="m", sesion="s") as call:
        call.set(input_tokens="secret", cost_usd=object(), user="u" * 999, output_tokens=4)
    (found,) = events.calls
    assert (found.input_tokens, found.cost_usd, found.output_tokens, found.user) == (None, None, 4, "u" * 128)
    assert "a call has no field sesion, so it is left out: did you mean session?" in caplog.text
    assert "no valid value, and are left out: cost_usd" in caplog.text
    assert "secret" not in caplog.text


def test_an_operation_that_is_none_is_left_out_with_a_warning(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    with observe(events, operation="embeding", model="m"):
        pass
    assert [call.operation for call in events.calls] == ["chat"]
    assert "there is no operation embeding: did you mean embedding?" in caplog.text


def test_an_update_outside_of_an_observation_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    update(user="u")
    assert "update() was called outside of an observation" in caplog.text


ANYTHING = st.none() | st.integers() | st.text(max_size=9) | st.floats() | st.binary(max_size=9)
NAMES = (
    "id",
    "ts",
    "operation",
    "model",
    "user",
    "tags",
    "tools",
    "input_tokens",
    "scores",
    "stream",
    "response_id",
    "x",
)


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        ANYTHING
        | st.lists(ANYTHING, max_size=3)
        | st.dictionaries(st.text(max_size=9), ANYTHING, max_size=3),
    )
)
def test_whatever_is_set_every_event_can_be_read(fields: dict[str, Any]) -> None:
    events = Events()
    with observe(events, "agent") as call:
        call.set(**fields)
    assert len(events.calls) == 1


def test_a_publisher_that_fails_does_not_reach_the_application(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def publish(self, call: Mapping[str, Any], /) -> bool:
            raise RuntimeError("secret")

    with observe(Broken(), model="m"):
        pass
    assert "a call can't be recorded: RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_what_is_no_client_can_not_be_wrapped(events: Events) -> None:
    with pytest.raises(
        TypeError, match="takes a client, such as OpenAI\\(\\) or AsyncAnthropic\\(\\), and not str"
    ):
        openai.wrap("sk-secret", events)


# --- with a real Publisher ------------------------------------------------------------------------


@pytest.mark.kafka
async def test_events_reach_the_topic_of_calls(
    kafka: str, topic_prefix: str, create_topics: Callable[..., Awaitable[Settings]]
) -> None:
    made = await create_topics(Settings(brokers=kafka, topic_prefix=topic_prefix), calls=1)
    with Publisher(made) as publisher:
        for number in range(3):
            with observe(publisher, model="m", session="s") as call:
                call.set(input_tokens=number)
    consumer = AIOKafkaConsumer(made.topic("calls"), bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(deadline(20)):
            records = [await consumer.getone() for _ in range(3)]
    finally:
        await consumer.stop()
    calls = [call for record in records for call in decode(record.value).calls]
    assert [(call.model, call.input_tokens) for call in calls] == [("m", 0), ("m", 1), ("m", 2)]
    assert {record.key for record in records} == {b"s"}


# --- what it costs to import ----------------------------------------------------------------------


def test_to_import_it_loads_no_kafka_no_stage_and_no_library() -> None:
    code = (
        "import sys; from llmvitals.integrations import observe, openai, anthropic;"
        "print(*sorted({n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)));"
        "print(*sorted({'.'.join(n.split('.')[:2]) for n in sys.modules if n.startswith('llmvitals.')}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    others, ours = done.stdout.splitlines()
    heavy = {
        "aiokafka",
        "aiohttp",
        "faust",
        "numpy",
        "openai",
        "anthropic",
        "genai_prices",
        "rich",
        "pydantic_settings",
    }
    assert set(others.split()) & heavy == set()
    assert ours.split() == [
        f"llmvitals.{name}" for name in ("errors", "integrations", "lengths", "lenient", "record", "texts", "usage")
    ]  # fmt: skip
