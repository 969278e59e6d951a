"""The example for LiteLLM: its real proxy publishes its calls and obeys the verdicts, and nothing is slower for it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import time
import types
import urllib.error
import urllib.request
import uuid
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from hypothesis import given
from hypothesis import strategies as st

from cluster import Cluster
from commands import said
from installing import overlay
from llmvitals import Publisher, ingest, topics
from llmvitals.errors import Unavailable
from llmvitals.ingest import litellm
from llmvitals.local.service import free_ports
from llmvitals.record.verdict import Clause, Verdict
from llmvitals.settings import Settings, unknown
from real_parts import have, unavailable
from waiting import deadline, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmvitals.local.kafka import LocalKafka

ROOT = Path(__file__).parents[2]
LITELLM = ROOT / ".venv" / "litellm" / "bin" / "litellm"
FAR = 4_000_000_000_000_000
CONFIG = """
model_list:
- model_name: small
  litellm_params: {model: openai/gpt-4o-mini, api_key: none, mock_response: "a planted answer"}
- model_name: broken
  litellm_params: {model: openai/gpt-4o, api_key: none, mock_response: "litellm.InternalServerError"}
- model_name: shaky
  litellm_params: {model: openai/gpt-4o, api_key: none, mock_response: "litellm.InternalServerError"}
router_settings:
  num_retries: 0
  fallbacks: [{shaky: [small]}]
litellm_settings:
  callbacks: [litellm_hook.hook, recorder.recorder]
general_settings:
  custom_auth: gateway_auth.user_api_key_auth
"""
AUTH = """
from litellm.proxy._types import UserAPIKeyAuth

async def user_api_key_auth(request, api_key):
    team, _, user = api_key.removeprefix("sk-").partition(".")
    return UserAPIKeyAuth(
        api_key=api_key, team_alias=team or None, team_id=team, user_id=user or None, key_alias=team + "-key"
    )
"""
RECORDER = """
import json
import litellm_hook
from litellm.integrations.custom_logger import CustomLogger

class Recorder(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        with open("before.jsonl", "a") as file:
            print(json.dumps(litellm_hook.dimensions(user_api_key_dict, data)), file=file)

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        with open("after.jsonl", "a") as file:
            print(json.dumps(kwargs["standard_logging_object"], default=str), file=file)

recorder = Recorder()
"""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


class Gateway:
    """A LiteLLM proxy with the example in it, in a process of its own."""

    def __init__(self, folder: Path, brokers: str, prefix: str, **more: str) -> None:
        self.folder, self.port, self.brokers, self.prefix = folder, free_ports(1)[0], brokers, prefix
        settings = {"LLMVITALS_BROKERS": brokers, "LLMVITALS_TOPIC_PREFIX": prefix, **more}
        (folder / "litellm_hook.py").write_text((ROOT / "examples" / "litellm_hook.py").read_text())
        for name, text in (("config.yaml", CONFIG), ("gateway_auth.py", AUTH), ("recorder.py", RECORDER)):
            (folder / name).write_text(text)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("LLMVITALS_")}
        own = {
            "PYTHONPATH": str(overlay(folder)),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": "sk-" + secrets.token_hex(32),
        }
        words = (
            "--config",
            "config.yaml",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--telemetry",
            "False",
        )
        with (folder / "gateway.log").open("wb") as out:
            self.process = subprocess.Popen(
                [LITELLM, *words],
                cwd=folder,
                env=plain | own | settings,
                stdout=out,
                stderr=out,
            )

    def log(self) -> str:
        return (self.folder / "gateway.log").read_text(errors="replace")

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return (
                self._open(urllib.request.Request(f"http://127.0.0.1:{self.port}/health/liveliness")).status
                == 200
            )
        except OSError:
            return False

    def ask(self, who: str, **more: Any) -> Answer:
        """A chat call with the key sk-TEAM.USER."""
        body = {"model": "small", "messages": [{"role": "user", "content": "a planted prompt"}], **more}
        return self._open(
            urllib.request.Request(
                f"http://127.0.0.1:{self.port}/v1/chat/completions",
                json.dumps(body).encode(),
                {"authorization": f"Bearer sk-{who}", "content-type": "application/json"},
            )
        )

    def _open(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=deadline(20)) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read().decode())

    def becomes(self, status: int, who: str, **more: Any) -> Answer:
        """The first answer of this status."""
        found = []

        def asked() -> bool:
            found.append(self.ask(who, **more))
            return found[-1].status == status

        until(asked, 100, lambda: f"{who} is answered {status}, not {found[-1]}\n{self.log()[-3000:]}")
        return found[-1]

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture(scope="module")
def gateway(_kafka: LocalKafka | Unavailable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for all tests, because it takes its time to start."""
    kafka = have(_kafka)
    if not LITELLM.exists():
        unavailable(Unavailable("LiteLLM is not installed: `make test` does that, from tests/litellm.txt"))
    prefix = f"t{uuid.uuid4().hex[:10]}"
    made = Gateway(tmp_path_factory.mktemp("gateway"), kafka.address, prefix)
    try:
        asyncio.run(topics.apply(Settings(brokers=kafka.address, topic_prefix=prefix)))
        until(made.ready, 120, made.log)
        yield made
    finally:
        made.close()


def verdict(**changes: Any) -> Verdict:
    fields = {
        "verdict": "block", "rule": "Month", "series": {"team": "search"}, "reason": "$512 of $500 is used",
        "metric": "cost", "since": 1, "until": FAR, "spent": 512.0, "limit": 500.0, "overshoot": 12.0,
    }  # fmt: skip
    return Verdict(**(fields | changes))


@pytest.mark.kafka
@pytest.mark.timeout(290)
async def test_litellms_proxy_obeys(gateway: Gateway) -> None:
    topic = f"{gateway.prefix}.verdicts.v1"
    producer = AIOKafkaProducer(bootstrap_servers=gateway.brokers)
    await producer.start()

    async def say(*verdicts: Verdict) -> None:
        for one in verdicts:
            await producer.send_and_wait(topic, one.encode(), key=one.key)

    try:
        assert gateway.ask("search.ann").status == 200
        await say(verdict(), verdict(rule="Past", series={"team": "chat"}, until=5))
        refused = gateway.becomes(429, "search.ann")
        assert (
            "Refused by the budget Month: $512 of $500 is used. Calls are possible again at 2096-10-02 07:06 UTC."
            in refused.text
        )
        assert int(refused.headers["retry-after"]) > 10**9
        assert refused.headers["x-should-retry"] == "false"
        assert gateway.ask("chat.bob").status == 200

        await say(
            verdict(rule="Warned", series={"user": "ann"}, verdict="warn", reason="80 % – of it"),
            verdict(rule="Bots", series={"team": "chat"}, where=(Clause("app", ("bot",)),)),
            verdict(verdict="allow", override="Ann"),
        )
        assert gateway.becomes(200, "search.ann").headers["x-llmvitals-warning"] == "80 %   of it"
        gateway.becomes(429, "chat.bob", metadata={"tags": ["app:bot", "area:south"]})
        free = gateway.ask("chat.bob", metadata={"tags": ["app:human", "area:south"]}, user="customer-7")
        assert free.status == 200
        assert "x-llmvitals-warning" not in free.headers
        await producer.send_and_wait(topic, None, key=verdict(rule="Bots", series={"team": "chat"}).key)
        gateway.becomes(200, "chat.bob", metadata={"tags": ["app:bot"]})
    finally:
        await producer.stop()
    same_dimensions(gateway)


def same_dimensions(gateway: Gateway) -> None:
    """What the hook takes a call for is what llmvitals counts it as, by LiteLLM's own log of it."""
    after = gateway.folder / "after.jsonl"
    until(lambda: after.exists() and "customer-7" in after.read_text(), 20, gateway.log)
    payload = next(line for line in after.read_text().splitlines() if "customer-7" in line)
    (call,) = ingest.decode(payload.encode(), format="litellm").calls
    before = map(json.loads, (gateway.folder / "before.jsonl").read_text().splitlines())
    taken = next(found for found in before if found["user"] == "customer-7")
    named = ("team", "user", "key", "app", "environment", "tenant", "agent", "requested_model", "prompt_name")
    assert {name: taken[name] for name in named} == {name: getattr(call, name) or "unknown" for name in named}
    assert (taken["team"], taken["key"], taken["app"]) == ("chat", "chat-key", "human")
    assert taken["tags.area"] == (call.tags or {})["area"] == "south"


@pytest.mark.kafka
@pytest.mark.timeout(290)
async def test_its_calls_are_published_and_counted(gateway: Gateway) -> None:
    spent = verdict(rule="Spent", series={"team": "spent"})
    producer = AIOKafkaProducer(bootstrap_servers=gateway.brokers)
    await producer.start()
    await producer.send_and_wait(f"{gateway.prefix}.verdicts.v1", spent.encode(), key=spent.key)
    await producer.stop()
    refused = gateway.becomes(429, "spent.ann")
    asked = {
        "failed": gateway.ask("pub.ann", model="broken"),
        "saved": gateway.ask("pub.ann", model="shaky"),
        "streamed": gateway.ask("pub.ann", stream=True),
        "ok": gateway.ask("pub.ann", metadata={"tags": ["app:bot"]}),
    }
    ids = {name: answer.headers["x-litellm-call-id"] for name, answer in asked.items()}
    found = await published(
        gateway, {ids["saved"]: 2, **{ids[name]: 1 for name in ("ok", "streamed", "failed")}}
    )
    assert refused.headers["x-litellm-call-id"] not in found  # no model was called
    lying = b"".join(value for values in found.values() for value in values)
    assert [text for text in (b"planted", b"mock internal", b"Traceback") if text in lying] == []
    calls = {name: [ingest.decode(value).calls[0] for value in found[ids[name]]] for name in ids}

    (ok,) = calls["ok"]
    usage = json.loads(asked["ok"].text)["usage"]
    assert (ok.model, ok.requested_model, ok.status, ok.finish_reason) == (
        "gpt-4o-mini",
        "small",
        "ok",
        "stop",
    )
    assert (ok.input_tokens, ok.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert ok.cost_usd == float(asked["ok"].headers["x-litellm-response-cost"]) > 0
    assert (ok.team, ok.user, ok.key, ok.app) == ("pub", "ann", "pub-key", "bot")
    (streamed,) = calls["streamed"]
    assert (streamed.stream, streamed.model, streamed.status) == (True, "gpt-4o-mini", "ok")
    assert (streamed.output_tokens or 0) * (streamed.cost_usd or 0) * (streamed.ttft_ms or 0) > 0
    (failed,) = calls["failed"]
    assert (failed.model, failed.status, failed.error_type) == ("gpt-4o", "error", "InternalServerError")
    assert (failed.requested_model, failed.input_tokens, failed.cost_usd) == ("broken", None, None)
    # An attempt that failed, and its fallback: LiteLLM gives both one id, and both count.
    saved = {call.status: call for call in calls["saved"]}
    assert (saved["error"].model, saved["ok"].model, saved["ok"].cost_usd) == (
        "gpt-4o",
        "gpt-4o-mini",
        ok.cost_usd,
    )
    assert len({call.id for of in calls.values() for call in of}) == 5


async def published(gateway: Gateway, wanted: dict[str, int]) -> dict[str, list[bytes]]:
    """What is on the topic of calls, by LiteLLM's id; waits for so many records of each wanted one."""
    topic = f"{gateway.prefix}.calls.v1"
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=gateway.brokers, auto_offset_reset="earliest")
    await consumer.start()
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    try:
        async with asyncio.timeout(deadline(30)):
            while any(len(found[name]) < count for name, count in wanted.items()):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        found[json.loads(record.value)["litellm_call_id"]].append(record.value)
    except TimeoutError:
        pytest.fail(f"{wanted} are not all there: {dict(found)}\n{gateway.log()[-3000:]}")
    finally:
        await consumer.stop()
    return dict(found)


RULES = """groups:
- name: g
  rules:
  - alert: TeamDay
    budget: {limit: 10, per: day, by: [team], thresholds: [80%, 100%], verdict: block}
"""


@pytest.mark.kafka
@pytest.mark.timeout(290)
async def test_from_a_spent_budget_to_a_refused_call_and_back(gateway: Gateway, tmp_path: Path) -> None:
    """Spend passes 100 % → the verdict is on the topic → the team's next call is refused → an override lifts it."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "rules.yaml").write_text(RULES)
    cluster = Cluster(gateway.brokers, gateway.prefix, tmp_path, alerts=rules)
    where = {"brokers": gateway.brokers, "topic_prefix": gateway.prefix}
    try:
        for stage in ("combine", "merge", "sink"):
            cluster.start(stage)
        now = time.time_ns() // 1_000_000
        calls: list[dict[str, Any]] = [
            {"id": f"c{n}", "ts": now + n, "model": "m", "team": team, "cost_usd": 3.5}
            for n, team in enumerate(["sales"] * 3 + ["support"])
        ]
        for partition in range(len(cluster.settings.sources) * 4):
            mine = [json.dumps(call).encode() for call in calls if int(call["id"][1:]) % 4 == partition]
            await cluster.publish(cluster.settings.topic("calls"), partition, mine)
        refused = gateway.becomes(429, "sales.eve")
        assert (
            "Refused by the budget TeamDay: $10.50 of $10 per day is used (105 %): team=sales."
            in refused.text
        )
        assert gateway.ask("support.joe").status == 200
        shown = said(tmp_path, "verdicts", **where)
        assert "block TeamDay" in shown.text
        assert "$10.50 team=sales" in shown.text
        assert "of $10 $0.50 over" in shown.text
        lifted = said(
            tmp_path,
            "silence",
            "add",
            "team=sales",
            "--override",
            "--by",
            "Ann",
            "--comment",
            "demo",
            **where,
        )
        assert lifted.code == 0, lifted.text
        assert gateway.becomes(200, "sales.eve").status == 200
        assert "allow TeamDay" in said(tmp_path, "verdicts", **where).text
    finally:
        cluster.close()


# Without LiteLLM: the file alone


def load(patch: pytest.MonkeyPatch) -> Any:
    """The example as a module, with stand-ins for what it takes from LiteLLM and FastAPI."""

    class HTTPException(Exception):
        def __init__(self, status: int, detail: Any, headers: Any = None) -> None:
            self.status_code, self.detail, self.headers = status, detail, headers

    for name in ("litellm", "litellm.integrations", "litellm.integrations.custom_logger", "fastapi"):
        patch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["fastapi"].HTTPException = HTTPException  # type: ignore[attr-defined]
    sys.modules["litellm.integrations.custom_logger"].CustomLogger = object  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_file_location("litellm_hook", ROOT / "examples" / "litellm_hook.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hook() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        yield load(patch)


NAMES = st.sampled_from(["team", "user", "app"])
VALUES = st.sampled_from(["a", "b", "unknown"])
CALLS = st.dictionaries(NAMES, VALUES)
CLAUSES = st.builds(
    Clause,
    NAMES,
    st.lists(VALUES, max_size=2).map(tuple),
    st.sampled_from([None, "a|b", "u.*"]),
    st.booleans(),
)
RECORDS = st.builds(
    verdict,
    rule=st.sampled_from("PQR"),
    verdict=st.sampled_from(["allow", "warn", "block"]),
    series=CALLS,
    where=st.lists(CLAUSES, max_size=2).map(tuple),
    until=st.sampled_from([None, 999, 1_000_001, FAR]),
)


@given(st.lists(st.tuples(RECORDS, st.booleans()), max_size=12), CALLS)
def test_the_strongest_verdict_that_holds_is_found(
    hook: Any, records: list[Any], call: dict[str, str]
) -> None:
    """As a look at every record would find it."""
    table, newest = hook.Table(), {}
    for record, gone in records:
        table.put(record.key, None if gone else record.encode())
        newest[record.key] = None if gone else record

    def matches(one: Verdict) -> bool:
        if one.until is not None and one.until <= 1_000_000:
            return False
        if any(call.get(name, "") != value for name, value in one.series.items()):
            return False
        return all(
            ((not c.values or call.get(c.dimension, "unknown") in c.values) and matched(c, call)) != c.negate
            for c in one.where
        )

    order = ["allow", "warn", "block"]
    expected = max((order.index(v.verdict) for v in newest.values() if v and matches(v)), default=0)
    found = table.find(call, 1.0)
    assert order.index(found["verdict"] if found else "allow") == expected


def matched(clause: Clause, call: dict[str, str]) -> bool:
    value = call.get(clause.dimension, "unknown")
    return {None: True, "a|b": value in "ab", "u.*": value[0] == "u"}[clause.regex]


class Key:
    team_alias, end_user_id, user_id, key_alias, token, api_key = "search", None, "ann", None, None, "hash"


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"metadata": None},
        {"metadata": {"tags": [{"a": 1}, 7, "app:chat"]}},
        {"metadata": "a text"},
        {"metadata": {"user_id": "u"}, "litellm_metadata": {"tags": "app:chat"}},
    ],
)
async def test_a_warning_breaks_no_call_and_is_not_sent_to_the_provider(
    hook: Any, call: dict[str, Any]
) -> None:
    guard = hook.Hook("127.0.0.1:1")
    try:
        warns = verdict(verdict="warn")
        guard._table.put(warns.key, warns.encode())
        guard._heard = time.monotonic()
        seen = await guard.async_pre_call_hook(Key(), None, {"model": "m", **call}, "completion")
        told = await guard.async_post_call_response_headers_hook(seen, Key(), None)
    finally:
        guard._following.cancel()
    if call.get("metadata") != "a text":
        assert told == {"x-llmvitals-warning": warns.reason}
    if "litellm_metadata" in call:
        assert seen["metadata"] == {"user_id": "u"}


@pytest.mark.parametrize(
    ("silence", "known", "after"), [("open", 429, 200), ("keep", 429, 429), ("closed", 429, 503)]
)
async def test_when_kafka_is_silent(hook: Any, silence: str, known: int, after: int) -> None:
    """By default every call goes through; each way is a setting. Before the first reading it is the same."""
    guard = hook.Hook("127.0.0.1:1", silence=silence, patience=60)

    async def ask() -> int:
        try:
            await guard.async_pre_call_hook(Key(), None, {"model": "m"}, "completion")
        except Exception as error:  # noqa: BLE001 - FastAPI's, or its stand-in
            return int(error.status_code)  # type: ignore[attr-defined]
        return 200

    try:
        assert await ask() == (503 if silence == "closed" else 200)
        guard._table.put(verdict().key, verdict().encode())
        guard._heard = time.monotonic()
        assert await ask() == known
        guard._heard -= 61
        assert await ask() == after
    finally:
        guard._following.cancel()


def test_a_call_costs_the_same_among_ten_thousand_verdicts(hook: Any) -> None:
    def cost(verdicts: int) -> float:
        """The processor's time of 1,000 searches, half of which find something."""
        table = hook.Table()
        for number in range(verdicts):
            one = verdict(series={"user": f"u{number}"})
            table.put(one.key, one.encode())
        began = time.thread_time()
        for number in range(1_000):
            found = table.find({"user": f"u{number % (2 * verdicts)}", "team": "t"}, 1.0)
            assert (found is not None) == (number % (2 * verdicts) < verdicts)
        return time.thread_time() - began

    assert cost(10_000) < 20 * cost(10), "a search through all would take 1,000 times as long"


class Kept:
    """Stands for the publisher."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def publish(self, call: dict[str, Any]) -> bool:
        self.calls.append(json.dumps(call).encode())
        return True


def recordings() -> list[dict[str, Any]]:
    """What LiteLLM has logged: successes, failures, streams, embeddings, blocked requests."""
    files = sorted((ROOT / "tests" / "data" / "ingest").glob("litellm_p*.json"))
    read = [json.loads(file.read_bytes()) for file in files if "otel" not in file.name]
    return [payload for part in read for payload in (part if isinstance(part, list) else [part])]


async def log(guard: Any, payload: dict[str, Any], **kwargs: Any) -> None:
    event = guard.async_log_failure_event if payload["status"] == "failure" else guard.async_log_success_event
    await event(
        kwargs={"standard_logging_object": payload, **kwargs}, response_obj=None, start_time=0, end_time=0
    )


def test_every_field_that_is_read_is_published(hook: Any) -> None:
    assert set(hook.PUBLISHED) == set(litellm._Payload.__struct_fields__)
    assert set(hook.PUBLISHED["response"]) == set(litellm._Response.__struct_fields__)


@pytest.mark.parametrize("texts", [False, True])
async def test_what_is_published_counts_as_the_whole_payload_would(hook: Any, texts: bool) -> None:
    kept, payloads = Kept(), recordings()
    guard = hook.Hook("127.0.0.1:1", publisher=kept, texts=texts)
    guard._following.cancel()
    for payload in payloads:
        await log(guard, payload)
    assert len(kept.calls) == len(payloads) > 5
    whole = [ingest.decode(json.dumps(payload).encode(), texts=texts) for payload in payloads]
    assert [ingest.decode(value, texts=texts) for value in kept.calls] == whole
    assert any(call.input_text for decoded in whole for call in decoded.calls) is texts


async def test_no_text_and_no_secret_is_published_unless_asked_for(hook: Any) -> None:
    (payload, *_) = recordings()
    text = "planted"
    hidden = {
        "messages": [{"role": "user", "content": text}], "error_str": text, "model_parameters": {"system": text},
        "response": {"id": "r", "choices": [{"text": text, "message": {
            "content": text, "tool_calls": [{"function": {"name": "search", "arguments": text}}]}}]},
        "error_information": {"error_class": "E", "error_message": text, "traceback": text},
        "hidden_params": {"additional_headers": {text: text}, "api_base": text},
        "guardrail_information": [{"guardrail_name": "g", "guardrail_request": text, "guardrail_response": text}],
        "metadata": payload["metadata"] | {
            "requester_metadata": {text: text}, "vector_store_request_metadata": [{"query": text}],
            "mcp_tool_call_metadata": {"arguments": text}, "requester_custom_headers": {"x-key": text}},
    }  # fmt: skip
    for texts, planted in ((False, set()), (True, {"messages", "response"})):
        kept = Kept()
        guard = hook.Hook("127.0.0.1:1", publisher=kept, texts=texts)
        guard._following.cancel()
        await log(guard, payload | hidden)
        (value,) = map(json.loads, kept.calls)
        assert {name for name, inner in value.items() if text in json.dumps(inner)} == planted
        assert value["response"]["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "search"


async def test_a_refused_call_and_one_without_a_payload_are_not_published(hook: Any) -> None:
    kept = Kept()
    guard = hook.Hook("127.0.0.1:1", publisher=kept)
    guard._following.cancel()
    await log(
        guard, recordings()[0] | {"status": "failure"}, exception=hook.refusal(json.loads(verdict().encode()))
    )
    await guard.async_log_success_event({}, None, 0, 0)
    assert kept.calls == []


async def test_calls_that_kafka_does_not_take_are_dropped_counted_and_logged(
    hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Publisher(brokers="127.0.0.1:9", queue=2) as publisher:
        guard = hook.Hook("127.0.0.1:1", publisher=publisher)
        guard._following.cancel()
        for payload in recordings():
            await log(guard, payload)
        assert (publisher.waiting, publisher.dropped) == (2, len(recordings()) - 2)
        publisher.close(0.1)
    assert "the queue of 2 calls is full: calls are dropped" in caplog.text


def test_a_setting_says_what_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(value: str) -> Any:
        monkeypatch.setenv("LLMVITALS_GATEWAY_PUBLISH", value)
        return load(monkeypatch).hook

    assert made("off")._publisher is None
    assert (made("calls")._texts, made("texts")._texts) == (False, True)
    assert made("calls")._publisher is not None
    with pytest.raises(ValueError, match="LLMVITALS_GATEWAY_PUBLISH is 'no': write calls, texts or off"):
        made("no")


def test_its_variables_are_no_unknown_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    used = set(re.findall(r"LLMVITALS_[A-Z_]+", (ROOT / "examples" / "litellm_hook.py").read_text()))
    assert "LLMVITALS_GATEWAY_PUBLISH" in used
    for name in used:
        monkeypatch.setenv(name, "x")
    assert unknown() == []
