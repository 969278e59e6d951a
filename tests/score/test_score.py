"""Scorers in processes of their own: what they say is counted, and what they break stays theirs."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from frames import points_of
from llmvitals import ingest
from llmvitals.errors import ConfigError, StateLost
from llmvitals.metrics.registry import metric_of
from llmvitals.pipeline import Pipeline, check
from llmvitals.record.call import CallEvent, floats
from llmvitals.record.log import Logged, Topic
from llmvitals.rules.engine import load_engine
from llmvitals.score import Score, ScorePlan, ScorerWorker, find
from llmvitals.score import scorer_worker as at_work
from llmvitals.scorers import ScorerSetting
from llmvitals.settings import Settings, load
from llmvitals.texts import last_message
from waiting import deadline, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmvitals.score.scorer_worker import Waiting

FAILING = "llmvitals.testing.scorer:FailingScorer"
NOW = 1_764_000_000_000
SHORT = "500ms"


@pytest.fixture
def notes() -> dict[str, str | None]:
    return {}


@pytest.fixture
def opened(notes: dict[str, str | None]) -> Iterator[Callable[..., ScorerWorker]]:
    workers: list[ScorerWorker] = []

    def start(scorer: str = FAILING, **setting: Any) -> ScorerWorker:
        workers.append(ScorerWorker(ScorerSetting(scorer=scorer, **setting), notes.__setitem__))
        workers[-1].open()
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def scored(worker: ScorerWorker, *texts: str) -> list[Any]:
    """What comes out in the end; None for unscored."""
    return finished(worker.score(texts))


def finished(work: Waiting) -> list[Any]:
    while True:
        try:
            assert next(work) == []
        except StopIteration as end:
            return [row if row is None else row.tolist() for row in end.value]


def alive(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


# The process


def test_texts_become_numbers_in_a_process_that_is_kept(opened: Callable[..., ScorerWorker]) -> None:
    worker = opened(batch=2)
    first = worker.process.pid
    assert scored(worker, "a bad one", "a good one", "half a pair \ud83d") == [0.9, 0.1, 0.1]
    assert (worker.process.pid, worker.gives, worker.of) == (first, "toxicity", "output")
    assert first != os.getpid()


@pytest.mark.parametrize("fault", ["CRASH", "RAISE", "NAN", "SHAPE", "RANGE", "HANG"])
def test_a_text_that_breaks_the_scorer_costs_only_itself(
    opened: Callable[..., ScorerWorker], fault: str
) -> None:
    worker = opened(timeout=SHORT)
    before = worker.process.pid
    assert scored(worker, "bad", fault, "good", "bad too") == [0.9, None, 0.1, 0.9]
    assert scored(worker, "bad") == [0.9]
    assert alive(worker.process.pid)
    assert alive(before) == (fault not in {"CRASH", "HANG"})


def test_a_hanging_scorer_is_waited_for_in_pieces_and_no_longer_than_agreed(
    opened: Callable[..., ScorerWorker],
) -> None:
    """Between two pieces a worker saves, and tells Kafka that it lives."""
    worker = opened(timeout=SHORT)
    longest, before, began = 0.0, time.monotonic(), time.monotonic()
    for _ in worker.score(["HANG"] * 2_000):
        longest = max(longest, time.monotonic() - before)
        before = time.monotonic()
    assert longest < deadline(2)
    assert time.monotonic() - began < deadline(20), "2,000 texts at half a second each would be longer"


def test_a_scorer_that_always_fails_is_given_a_rest_and_comes_back(
    opened: Callable[..., ScorerWorker], notes: dict[str, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    worker = opened()
    assert scored(worker, "RAISE me") == [None]
    assert scored(worker, "fine") == [0.1], "one bad batch is no reason for a rest"
    for _ in range(3):
        scored(worker, "RAISE me")
    assert scored(worker, "fine") == [None], "it rests"
    (who,) = notes
    assert "it raised ValueError; 2 batches in a row" in (notes[who] or "")
    until(lambda: scored(worker, "fine") != [None], 20)
    assert notes == {who: None}


def test_no_text_is_ever_told(
    opened: Callable[..., ScorerWorker], notes: dict[str, str | None],
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    worker = opened(timeout=SHORT)
    told = ""
    assert scored(worker, "PRINT cAnArY", "bad") == [0.1, 0.9]
    for fault in ("RAISE", "CRASH", "HANG", "NAN"):
        assert scored(worker, f"{fault} cAnArY") == [None]
        told += str(notes)
        assert scored(worker, "bad") == [0.9]
    out, err = capfd.readouterr()
    assert "ValueError" in told
    assert "cAnArY" not in told + caplog.text + out + err


def test_a_scorer_does_not_see_our_secrets(
    opened: Callable[..., ScorerWorker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMVITALS_SLACK_TOKEN", "xoxb-secret")
    monkeypatch.setenv("JUDGE_KEY", "its own")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spy.py").write_text(
        "import os\n"
        "class Spy:\n"
        "    name, gives = 'spy', 'score'\n"
        "    def __call__(self, texts):\n"
        "        return [float('LLMVITALS_SLACK_TOKEN' in os.environ), float('JUDGE_KEY' in os.environ)]\n"
    )
    assert scored(opened("spy:Spy"), "a", "b") == [0, 1]


def test_a_killed_process_is_replaced(opened: Callable[..., ScorerWorker]) -> None:
    worker = opened()
    before = worker.process.pid or 0
    os.kill(before, signal.SIGKILL)
    assert scored(worker, "bad") == [0.9]
    assert worker.process.pid != before


def test_what_is_left_in_the_middle_gives_the_scorer_to_others(opened: Callable[..., ScorerWorker]) -> None:
    worker = opened(timeout="30s")
    left = worker.score(["HANG"])
    next(left)
    left.close()
    assert worker.process.pid is None, "nobody waits for its answer"
    assert scored(worker, "bad") == [0.9]


def test_partitions_take_turns(opened: Callable[..., ScorerWorker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_work, "STEP", 0.01)
    worker = opened(timeout=SHORT)
    first, second = worker.score(["HANG"]), worker.score(["bad"])
    next(first)
    assert next(second) == []
    for _ in first:
        pass
    assert finished(second) == [0.9]


# The built-in ones


def test_profanity_tells_abuse_by_its_words(opened: Callable[..., ScorerWorker]) -> None:
    bad, good = scored(opened("profanity"), "you are a stupid idiot", "thank you for the flowers")
    assert good < 0.2
    assert bad > 0.8


def test_profanity_is_a_score_of_its_own_and_no_toxicity(opened: Callable[..., ScorerWorker]) -> None:
    judged = call("c", "you are a stupid idiot", toxicity=0.1)
    (found,) = said(stage(opened("profanity")), [judged])
    assert found.toxicity is None
    assert found.scores is not None
    assert found.scores["profanity"] > 0.8
    assert metric_of("score.profanity_mean").worse == "up"


def test_wordllama_puts_like_to_like_and_needs_no_network(
    opened: Callable[..., ScorerWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    worker = opened("wordllama")
    rows = np.array(scored(worker, "my card was stolen", "somebody took my bank card", "the weather is nice"))
    assert rows.shape == (3, 256)
    assert worker.of == "input"
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.1


# The stage


def call(name: str, output: str | None = "good", **more: Any) -> bytes:
    fields = {"id": name, "ts": NOW, "model": "m", "output_text": output, **more}
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()


def stage(*workers: ScorerWorker, wall: int = NOW + 5_000, parts: dict[str, bytes] | None = None) -> Score:
    return Score(ScorePlan(workers, ingest.decode, wall=lambda: wall), parts=parts or {}, beginning=0)


def log_of(values: list[bytes]) -> list[Logged]:
    return [Logged(offset, NOW, value) for offset, value in enumerate(values)]


def said(score: Score, values: list[bytes]) -> list[CallEvent]:
    messages = score.apply(log_of(values))
    assert {message.topic for message in messages} <= {Topic.SCORES}
    return [CallEvent.read(message.value or b"") for message in messages]


def test_an_evaluation_has_all_that_a_call_is_counted_by_and_no_text(
    opened: Callable[..., ScorerWorker],
) -> None:
    who = {
        "provider": "openai", "requested_model": "r", "environment": "prod", "app": "a", "team": "t",
        "tenant": "te", "user": "u", "session": "s", "key": "k", "agent": "ag", "prompt_name": "p",
        "prompt_version": "v2", "trace_id": "tr", "tags": {"language": "de"},
    }  # fmt: skip
    (found,) = said(stage(opened()), [call("c-1", "bad", **who, cost_usd=1.0, input_text="ask")])
    assert found.model_dump(exclude_defaults=True) == who | {
        "id": "toxicity/failing/output/c-1", "ts": NOW + 5_000, "model": "m", "operation": "evaluation",
        "target_id": "c-1", "toxicity": 0.9,
    }  # fmt: skip


def test_each_kind_of_scorer_says_it_in_its_own_field(opened: Callable[..., ScorerWorker]) -> None:
    score = stage(
        opened("llmvitals.testing.scorer:FailingVectors"),
        opened("llmvitals.testing.scorer:FailingJudge", of="output"),
    )
    vector, judged = said(score, [call("c", "bad", input_text="good")])
    assert vector.embedding is not None
    assert vector.embedding.model == "vectors"
    assert floats(vector.embedding.vector).tolist() == pytest.approx([0.1, 1.0])
    assert (judged.scores, judged.toxicity, judged.embedding) == ({"judge": 0.9}, None, None)


def test_what_needs_no_score_gets_none(opened: Callable[..., ScorerWorker]) -> None:
    flagged = [{"name": "toxicity", "verdict": "flag", "score": 0.7}]
    score = stage(opened())
    assert said(score, [
        call("none", None), call("empty", ""), call("given", toxicity=0.2), call("guarded", guardrails=flagged),
        call("tool", operation="tool"), call("evaluated", operation="evaluation"), b"no call", b"x" * 300_000,
    ]) == []  # fmt: skip
    assert score.counters == {"in": 6, "scored": 0, "unscored": 0}
    assert score.next == 8


def test_what_cannot_be_scored_is_said(opened: Callable[..., ScorerWorker]) -> None:
    score = stage(opened())
    good, bad = said(score, [call("a"), call("b", "RAISE", app="x")])
    assert (good.status, good.toxicity) == ("ok", 0.1)
    assert (bad.status, bad.error_type, bad.toxicity, bad.app) == ("error", "unscored", None, "x")
    assert score.counters == {"in": 2, "scored": 1, "unscored": 1}


def test_time_is_when_it_was_scored_but_never_before_the_call(opened: Callable[..., ScorerWorker]) -> None:
    worker = opened()
    (late,) = said(stage(worker), [call("a")])
    (ahead,) = said(stage(worker, wall=NOW - 60_000), [call("a")])
    assert (late.ts, ahead.ts) == (NOW + 5_000, NOW)


def test_ids_are_the_same_each_time_and_short_enough(opened: Callable[..., ScorerWorker]) -> None:
    worker, values = opened(), [call("x" * 128), call("x" * 127 + "y"), call("c")]
    first, second = said(stage(worker), values), said(stage(worker, wall=NOW + 9_000), values)
    assert [one.id for one in first] == [one.id for one in second]
    assert len({one.id for one in first}) == 3
    assert max(len(one.id) for one in first) <= 128


def test_a_sample_is_drawn_by_id(opened: Callable[..., ScorerWorker]) -> None:
    worker, values = opened(sample=0.25), [call(f"c-{number}") for number in range(2_000)]
    first = [one.target_id for one in said(stage(worker), values)]
    assert first == [one.target_id for one in said(stage(worker), values)]
    assert abs(len(first) - 500) < 5 * math.sqrt(500)


def test_long_texts_are_cut(opened: Callable[..., ScorerWorker]) -> None:
    (found,) = said(stage(opened(longest=100)), [call("a", "x" * 100 + "bad")])
    assert found.toxicity == 0.1


def test_a_restart_goes_on_after_what_is_saved(opened: Callable[..., ScorerWorker]) -> None:
    worker, values = opened(), [call(f"c-{number}") for number in range(600)]
    score, sent = stage(worker), []
    work = score.pieces(log_of(values))
    while not sent:
        sent = next(work)
    saved = score.snapshot()
    again = stage(worker, parts=saved.parts)
    assert again.next == saved.offset == len(sent) == 256
    assert len(again.apply(log_of(values))) == 600 - 256
    assert again.counters["scored"] == 600
    with pytest.raises(StateLost, match="the checkpoint of score"):
        stage(worker, parts={"manifest": b"\xc1"})


def test_combine_counts_what_was_scored_and_what_was_not(opened: Callable[..., ScorerWorker]) -> None:
    """The whole way without a broker: nothing of an evaluation is a call, or costs anything."""
    settings = Settings(alerts="no-rules", text="score", scorers=[FAILING])
    pipeline = Pipeline.of(settings, 1, settings.sources)
    values = [call("a", "bad", app="x"), call("b", "good", app="x"), call("c", "RAISE", app="x")]
    messages = stage(opened()).apply(log_of(values))
    topic = settings.topic("scores")
    stages = pipeline.alone({topic: 1})
    scores, merge = stages.combines[topic, 0], stages.merge
    records = [Logged(n, NOW + 5_000, message.value) for n, message in enumerate(messages)]
    assert scores.apply(records) == []
    assert scores.finish() == []
    merged = [*merge.apply_frames(scores.hand_over()), *merge.finish()]
    found = {
        point.measurement: point.counts | point.measures
        for point in points_of(merged)
        if (point.tags["window"], point.tags["view"]) == ("10s", "all")
    }
    assert found["llm_calls"]["calls"] == found["llm_calls"]["cost_nano"] == 0
    assert (
        found["llm_toxicity"] | {"scored_calls": 2, "toxic_calls": 1, "unscored_calls": 1}
        == found["llm_toxicity"]
    )
    assert found["llm_toxicity"]["toxicity_share"] == 0.5


RECORDINGS = Path(__file__).parents[1] / "data" / "ingest"


@pytest.mark.parametrize(
    ("file", "texts"),
    [
        ("litellm_payload_stream.json", [("Say hello.", "Hello there, friend.")]),
        ("litellm_payload_failure.json", [("Say hello.", None)]),
        *(
            (
                f"otlp_genai_latest.{kind}",
                [*[("Say hello.", "Hello there, friend.")] * 3, ("Say hello.", None), (None, None), ("hi", "Hi from responses")],
            )
            for kind in ("json", "pb")
        ),
    ],
)  # fmt: skip
def test_texts_are_found_in_every_format_but_only_for_scorers(
    file: str, texts: list[tuple[str | None, str | None]]
) -> None:
    value = (RECORDINGS / file).read_bytes()
    plain, found = ingest.decode(value), ingest.decode(value, texts=True)
    assert [(one.input_text, one.output_text) for one in found.calls] == texts
    assert {(one.input_text, one.output_text) for one in plain.calls} == {(None, None)}
    assert [one.id for one in plain.calls] == [one.id for one in found.calls]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "a"),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}], "a"),
        ('[{"role": "user", "parts": [{"type": "text", "content": "a"}, {"type": "tool_call"}]}]', "a"),
        ([{"role": "user", "content": "redacted-by-litellm"}], None),
        ([{"role": "system", "content": "a"}], None),
        ("no JSON", None),
        ({"role": "user"}, None),
        ([None, 3, {"role": "user", "content": 5}], None),
        ([{"role": "user", "content": [None, 3, "x"]}], None),
    ],
)
def test_the_users_last_words_are_the_input(messages: Any, text: str | None) -> None:
    assert last_message(messages, "user") == text


def test_old_spans_have_an_attribute_for_each_message() -> None:
    def text(key: str, value: str) -> dict[str, Any]:
        return {"key": key, "value": {"stringValue": value}}

    span = {
        "traceId": "5" * 32, "spanId": "6" * 16, "name": "chat", "startTimeUnixNano": str(NOW * 10**6),
        "endTimeUnixNano": str(NOW * 10**6), "attributes": [
            text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "m"),
            text("gen_ai.prompt.0.role", "user"), text("gen_ai.prompt.0.content", "first"),
            text("gen_ai.prompt.1.role", "user"), text("gen_ai.prompt.1.content", "last"),
            text("gen_ai.completion.0.content", "a bad answer"),
        ],
    }  # fmt: skip
    value = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    (found,) = ingest.decode(value, texts=True).calls
    assert (found.input_text, found.output_text) == ("last", "a bad answer")


# What is wrong is said before anything starts


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("profnity", "did you mean profanity"),
        ("no_such_package.there:Class", "package.module:Class"),
        ("llmvitals.testing.scorer:", "no class after the colon"),
    ],
)
def test_a_scorer_that_is_not_there_is_told_with_what_to_do(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check(Settings(alerts="no-rules", text="score", scorers=[name]))


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmvitals.score.scorer_worker.find_spec", lambda module: None)
    with pytest.raises(ConfigError, match=r"pip install 'llmvitals\[profanity\]'"):
        find("profanity")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise ImportError('torch is missing')\n", "can't be loaded: ImportError: torch is missing"),
        ("class Mine: name, gives = 'x', 'wisdom'\n", "called with texts"),
        ("class Mine:\n  name, gives = 'x', 'wisdom'\n  def __call__(self, texts): ...\n", "one of toxicity"),
        ("import os\nos._exit(1)\n", "its process died while loading"),
    ],
)
def test_a_scorer_that_does_not_load_is_told(
    opened: Callable[..., ScorerWorker], text: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=told):
        opened("mine:Mine")


def test_scorers_are_set_by_names_or_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMVITALS_TEXT", "score")
    monkeypatch.setenv("LLMVITALS_SCORERS", "profanity, wordllama")
    settings = load()
    assert [one.scorer for one in settings.scorers] == ["profanity", "wordllama"]
    assert settings.sources == ("llm.calls.v1", "llm.scores.v1")
    monkeypatch.setenv(
        "LLMVITALS_SCORERS", '[{"scorer": "a.b:C", "of": "input", "sample": 0.1}, "profanity"]'
    )
    assert [(one.scorer, one.of, one.sample) for one in load().scorers] == [
        ("a.b:C", "input", 0.1), ("profanity", None, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scorers", "text", "told"),
    [
        ("profanity", "off", "allow it with text=score"),
        ('[{"scorer": "profanity", "off": "x"}]', "score", "did you mean of"),
        ('[{"scorer": "profanity", "sample": 2}]', "score", "scorers.0.sample"),
        ('[{"scor', "score", "scorers: Unterminated"),
    ],
)
def test_wrong_settings_are_told(monkeypatch: pytest.MonkeyPatch, scorers: str, text: str, told: str) -> None:
    monkeypatch.setenv("LLMVITALS_TEXT", text)
    monkeypatch.setenv("LLMVITALS_SCORERS", scorers)
    with pytest.raises(ConfigError, match=told):
        load()


def test_without_scorers_nothing_changes() -> None:
    assert Settings().sources == Settings().calls == ("llm.calls.v1",)


# Examples and docs


EXAMPLES = Path(__file__).parents[2] / "examples"


def judge() -> Any:
    spec = importlib.util.spec_from_file_location("judge", EXAMPLES / "judge.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_judge_of_the_examples_turns_replies_into_scores() -> None:
    replies = {"useless": "0", "fine": " 7/10.", "great": "10", "over": "12"}
    made = judge().Judge(lambda prompt: replies[prompt.split("\n")[1]])
    assert made(list(replies)).tolist() == [0, 0.7, 1, 1]
    with pytest.raises(ValueError, match="not reply with a number"):
        judge().Judge(lambda prompt: "I would say that it is good")(["x"])


def test_the_judge_of_the_examples_runs_as_its_docstring_says(
    opened: Callable[..., ScorerWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network every text is unscored, and nothing else happens."""
    monkeypatch.chdir(EXAMPLES)
    for name, value in (("JUDGE_URL", "http://127.0.0.1:9/"), ("JUDGE_KEY", "k"), ("JUDGE_MODEL", "m")):
        monkeypatch.setenv(name, value)
    (text,) = re.findall(r"LLMVITALS_SCORERS='(.*)'", judge().__doc__)
    (setting,) = Settings(text="score", scorers=text).scorers
    worker = opened(**setting.model_dump())
    assert (worker.name, worker.gives) == ("helpful", "score")
    assert scored(worker, "an answer") == [None]


PAGE = (Path(__file__).parents[2] / "docs" / "toxicity.md").read_text(encoding="utf-8")


def test_the_settings_and_the_rule_of_the_docs_are_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMVITALS_TEXT", "score")
    for text in re.findall(r"LLMVITALS_SCORERS='?([^'\n]+)", PAGE):
        monkeypatch.setenv("LLMVITALS_SCORERS", text)
        assert len(load().scorers) == 2
    defaults = {name: str(field.default) for name, field in ScorerSetting.model_fields.items()}
    told = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`?;? ?", PAGE, re.MULTILINE))
    assert {name: told[name].removesuffix(".0") for name in ("batch", "timeout", "longest")} == {
        name: defaults[name] for name in ("batch", "timeout", "longest")
    }
    (rule,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "safety.yaml").write_text(rule)
    assert [each.name for each in load_engine(tmp_path, 10_000_000).rules.rules] == ["ToxicAnswers"]


def test_the_scorer_of_the_docs_is_one(
    opened: Callable[..., ScorerWorker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    model = (
        "import numpy as np\n"
        "class Model:\n"
        "    def predict_proba(self, texts): return np.array([[0.25, 0.75]] * len(texts))\n"
        "load_my_classifier = Model\n"
    )
    (tmp_path / "my_module.py").write_text(model + code)
    monkeypatch.chdir(tmp_path)
    assert scored(opened("my_module:Moderation"), "a", "b") == [0.75, 0.75]
