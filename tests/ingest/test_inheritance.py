"""Who made a call, by the spans around it."""

from llmvitals.ingest import decode
from spans import Attributes, export, span

LLM: Attributes = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 10}
AGENT: Attributes = {"openinference.span.kind": "AGENT", "agent.name": "outer", "session.id": "s-1"}


def test_a_call_has_the_session_and_the_agent_of_the_run_around_it() -> None:
    spans = [
        span(1, AGENT | {"user.id": "u-1", "llm.prompt_template.version": "7"}),
        span(2, {"openinference.span.kind": "AGENT", "agent.name": "inner"}, parent=1),
        span(3, {"http.request.method": "POST"}, parent=2),
        span(4, LLM, parent=3),
        span(5, LLM | {"session.id": "s-2"}, parent=1),
        span(6, {"openinference.span.kind": "TOOL", "tool.name": "add"}, parent=2),
        span(7, LLM, trace=2),
    ]
    calls = decode(export(("a", spans))).calls
    assert [(call.session, call.user, call.agent) for call in calls] == [
        ("s-1", "u-1", "inner"),
        ("s-2", "u-1", "outer"),
        ("s-1", "u-1", "inner"),
        (None, None, None),
    ]
    assert {call.prompt_version for call in calls} == {None}


def test_genai_calls_have_the_agent_that_made_them() -> None:
    run = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
    chat = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 10}
    (call,) = decode(export(("a", [span(2, chat, parent=1), span(1, run)]))).calls
    assert call.agent == "helper"


def test_spans_around_each_other_are_survived() -> None:
    spans = [span(1, AGENT, parent=2), span(2, AGENT, parent=1), span(3, LLM, parent=2)]
    (call,) = decode(export(("a", spans))).calls
    assert call.session == "s-1"
