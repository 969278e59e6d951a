"""The example for LiteLLM: its real proxy obeys the verdicts, by HTTP, and nothing is slower for it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import time
import types
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from hypothesis import given
from hypothesis import strategies as st

from cluster import Cluster
from commands import said
from llmvitals import ingest, topics
from llmvitals.errors import Unavailable
from llmvitals.local.service import free_ports
from llmvitals.record.verdict import Clause, Verdict
from llmvitals.settings import Settings
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
  litellm_params: {model: openai/gpt-4o-mini, api_key: none, mock_response: "hello"}
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

    def __init__(self, folder: Path, brokers: str, prefix: str) -> None:
        self.folder, self.port, self.brokers, self.prefix = folder, free_ports(1)[0], brokers, prefix
        settings = {"LLMVITALS_BROKERS": brokers, "LLMVITALS_TOPIC_PREFIX": prefix}
        (folder / "litellm_hook.py").write_text((ROOT / "examples" / "litellm_hook.py").read_text())
        for name, text in (("config.yaml", CONFIG), ("gateway_auth.py", AUTH), ("recorder.py", RECORDER)):
            (folder / name).write_text(text)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("LLMVITALS_")}
        own = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": "sk-" + secrets.token_hex(32)}
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
        body = {"model": "small", "messages": [{"role": "user", "content": "hi"}], **more}
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
        assert "block TeamDay team=sales" in shown.text
        assert "$10.50 $10 $0.50" in shown.text
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
        assert "allow TeamDay team=sales" in said(tmp_path, "verdicts", **where).text
    finally:
        cluster.close()


# Without LiteLLM: the file alone


@pytest.fixture(scope="module")
def hook() -> Iterator[Any]:
    """The example as a module, with stand-ins for what it takes from LiteLLM and FastAPI."""

    class HTTPException(Exception):
        def __init__(self, status: int, detail: Any, headers: Any = None) -> None:
            self.status_code, self.detail, self.headers = status, detail, headers

    with pytest.MonkeyPatch.context() as patch:
        for name in ("litellm", "litellm.integrations", "litellm.integrations.custom_logger", "fastapi"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules["fastapi"].HTTPException = HTTPException  # type: ignore[attr-defined]
        sys.modules["litellm.integrations.custom_logger"].CustomLogger = object  # type: ignore[attr-defined]
        spec = importlib.util.spec_from_file_location("litellm_hook", ROOT / "examples" / "litellm_hook.py")
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


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


def test_ten_thousand_verdicts_cost_a_call_nothing(hook: Any) -> None:
    """Less than a tenth of a millisecond, where a call to a model takes a thousand times that."""
    table = hook.Table()
    for number in range(10_000):
        one = verdict(series={"user": f"u{number}"})
        table.put(one.key, one.encode())
    began = time.thread_time()
    for number in range(1_000):
        found = table.find({"user": f"u{number * 20}", "team": "t"}, 1.0)
        assert (found is not None) == (number < 500)
    assert (time.thread_time() - began) / 1_000 < 0.0001
