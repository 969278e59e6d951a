"""The root-cause line, from shares: it names what changed, and says nothing where nothing did."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.metrics.quantity import amount
from llmvitals.rootcause.cause import root_cause_line
from llmvitals.rootcause.change import Comparison, Period
from llmvitals.rootcause.decomposition import decomposition_of, for_series
from llmvitals.sketch import top_k

HOUR = 3_600_000_000
DOLLAR = 10**9


def share(calls=100, *, tokens=1_000, out=100, price=0.01, cached=0.0, ms=1_000) -> top_k.Share:
    """calls; of each tokens (in and out), out of them, dollars without a cache, its saving, milliseconds"""
    gross = round(calls * price * DOLLAR)
    return calls, round(gross * (1 - cached)), calls * tokens, gross, calls * ms * 1_000, calls * out


def span(
    *, hours: float = 1.0, rest: top_k.Share = top_k.NO_SHARE, **names: dict[str, top_k.Share]
) -> Period:
    """What some time held: kind → name → share; the first kind has everything but the rest."""
    total = rest
    for each in next(iter(names.values()), {}).values():
        total = top_k.add(total, each)
    return Period(round(hours * HOUR), total, names)


def cost(before: Period, now: Period, **more) -> str:
    return root_cause_line("cost", "usd", before, now, **more)


V7 = span(prompt={"answer@v7": share()})


def test_longer_prompts():
    now = span(prompt={"answer@v7": share(tokens=9_000, out=100, price=0.0621 * 9_400 / 9_400)})
    assert cost(V7, now).startswith("+$5.21 an hour against the hour before: ")
    assert re.search(r": \d+ % from longer prompts in answer@v7", cost(V7, now))


def test_a_new_version_is_compared_with_the_old_one():
    now = span(prompt={"answer@v8": share(tokens=4_000, out=100, price=0.01 * 4_400 / 1_400)})
    assert cost(V7, now) == ("+$2.14 an hour against the hour before: 100 % from longer prompts in answer@v8")
    assert cost(now, V7) == (
        "−$2.14 an hour against the hour before: 100 % from shorter prompts in answer@v7"
    )


def test_longer_answers():
    now = span(prompt={"answer@v7": share(tokens=1_900, out=1_000, price=0.01 * 5_900 / 1_400)})
    assert cost(V7, now).endswith(": 100 % from longer answers in answer@v7")


def test_more_calls_and_rates_are_compared_with_rates():
    cached = span(prompt={"answer@v7": share(cached=0.6)}), span(prompt={"answer@v7": share(300, cached=0.6)})
    assert cost(*cached).endswith(": 100 % from more calls")
    assert cost(V7, span(prompt={"answer@v7": share(300)})) == (
        "+$2 an hour against the hour before: 100 % from more calls"
    )
    tenth = span(hours=0.1, prompt={"answer@v7": share(30)})
    assert cost(V7, tenth) == "+$2 an hour against the hour before: 100 % from more calls"
    assert cost(span(hours=0.5, prompt={"answer@v7": share(50)}), tenth).startswith(
        "+$2 an hour against the 30 min before: "
    )
    assert cost(V7, span(hours=0.1, prompt={"answer@v7": share(10)})) == ""


def test_who_calls_more_is_named():
    before = span(prompt={"answer@v7": share()}, user={"ann": share(50), "bob": share(50)})
    now = span(prompt={"answer@v7": share(300)}, user={"bob": share(250), "ann": share(50)})
    assert cost(before, now).endswith(": 100 % from more calls by bob")
    assert cost(now, before).endswith(": 100 % from fewer calls by bob")
    assert cost(before, now, fixed=("user",)).endswith(": 100 % from more calls")


def test_a_cache_that_stops_hitting():
    before = span(prompt={"answer@v7": share(cached=0.6), "plan@v1": share(20)})
    now = span(prompt={"answer@v7": share(), "plan@v1": share(20)})
    assert cost(before, now).endswith(": 100 % from fewer cache hits in answer@v7")


def test_a_dearer_model_with_and_without_prompts():
    models = (
        {"model": {"mini": share(100, price=0.01)}},
        {"model": {"mini": share(5, price=0.01), "big": share(95, price=0.05)}},
    )
    told = "+$3.80 an hour against the hour before: 100 % from big instead of mini"
    assert cost(span(**models[0]), span(**models[1])) == told
    gross = share(5, price=0.01)[1] + share(95, price=0.05)[1]
    prompts = {"answer@v7": share(price=0.01)}, {"answer@v7": share(price=gross / 100 / DOLLAR)}
    assert cost(span(prompt=prompts[0], **models[0]), span(prompt=prompts[1], **models[1])) == told


def test_a_price_list_that_changed_is_no_other_model():
    names = {"answer@v7": share(price=0.02)}
    now = span(prompt=names, model={"mini": share(price=0.02)})
    before = span(prompt={"answer@v7": share()}, model={"mini": share()})
    assert cost(before, now).endswith(": 100 % from a higher price in answer@v7")


def test_a_shift_to_dearer_calls():
    cheap, dear = share(900, price=0.001), share(100, price=0.1)
    before = span(prompt={"rewrite@v1": cheap, "plan@v2": dear})
    now = span(prompt={"rewrite@v1": share(500, price=0.001), "plan@v2": share(500, price=0.1)})
    assert cost(before, now).endswith(": 100 % from a shift to plan@v2")


def test_what_is_new_beside_much_that_is_not_named():
    before = span(rest=share(1_000), prompt={f"p{n}@v1": share(50) for n in range(5)})
    now = span(
        rest=share(1_000), prompt={f"p{n}@v1": share(50) for n in range(4)} | {"new@v1": share(50, price=1.0)}
    )
    assert cost(before, now) == "+$49.50 an hour against the hour before: 100 % from a shift to new@v1"
    hidden = span(rest=share(1_050), prompt={f"p{n}@v1": share(50) for n in range(4)})
    assert cost(before, hidden) == ""


def test_money_of_a_call_has_no_volume():
    now = span(prompt={"answer@v7": share(900, price=0.02)})
    told = "+$0.01 a call against the hour before: 100 % from a higher price in answer@v7"
    assert root_cause_line("cost_per_call_mean", "usd", V7, now) == told
    assert root_cause_line("cost_per_call_p95", "usd", V7, now) == told


def test_latency():
    before = span(model={"sonnet": share(ms=2_000, out=100), "mini": share(ms=1_000, out=100)})
    now = span(model={"sonnet": share(ms=8_000, out=100), "mini": share(ms=1_000, out=100)})
    assert root_cause_line("latency_p95", "ms", before, now) == (
        "+3 s a call against the hour before: 100 % from slower answers of sonnet"
    )
    longer = span(model={"sonnet": share(ms=8_000, out=400), "mini": share(ms=1_000, out=100)})
    assert root_cause_line("latency_mean", "ms", before, longer).endswith(
        ": 100 % from longer answers of sonnet"
    )
    assert root_cause_line("ttft_p95", "ms", before, now) == ""


def test_tokens():
    now = span(prompt={"answer@v7": share(tokens=5_000, out=100)})
    assert root_cause_line("tokens", "tokens", V7, now).startswith("+400,000 tokens an hour")
    assert root_cause_line("input_tokens_per_call_mean", "tokens", V7, now) == (
        "+4,000 tokens a call against the hour before: 100 % from longer prompts in answer@v7"
    )
    assert root_cause_line("output_tokens", "tokens", V7, now) == ""
    assert root_cause_line("cached_tokens", "tokens", V7, now) == ""


@pytest.mark.parametrize("metric", ["calls", "error_share", "cost_per_million_output_tokens"])
def test_what_is_no_product_has_no_line(metric):
    unit = "usd" if metric.startswith("cost") else "share"
    assert root_cause_line(metric, unit, V7, span(prompt={"answer@v7": share(900)})) == ""


def test_nothing_to_compare_with_and_nothing_changed():
    assert cost(V7, V7) == ""
    assert cost(V7, span(prompt={"answer@v7": share(115)})) == ""
    assert cost(span(), V7) == ""
    assert cost(V7, span()) == ""
    assert cost(span(prompt={"answer@v7": share(9)}), V7) == ""
    assert cost(span(hours=0.01, prompt={"answer@v7": share()}), V7) == ""


def test_a_long_name_is_shortened():
    now = span(prompt={"x" * 256: share(price=0.05)})
    assert cost(span(prompt={"x" * 256: share()}), now).endswith(" in " + "x" * 59 + "…")


names = st.dictionaries(
    st.sampled_from(["a@v1", "a@v2", "b@v1", "b", "c@v9", "@", "d@x@y"]),
    st.builds(
        lambda calls, **more: share(calls, **more),
        st.integers(1, 500),
        tokens=st.integers(100, 9_000),
        out=st.integers(0, 100),
        price=st.just(0.0) | st.floats(0.001, 1),
        cached=st.floats(0, 1),
        ms=st.integers(0, 9_000),
    ),
    max_size=5,
)
rests = st.just(top_k.NO_SHARE) | st.integers(1, 500).map(share)


@given(names, names, rests, rests)
def test_a_line_is_a_whole_and_at_most_three_parts(old, new, rest, more):
    before, now = span(rest=rest, prompt=old), span(rest=more, prompt=new)
    for metric, unit in (
        ("cost", "usd"),
        ("cost_per_call_mean", "usd"),
        ("tokens", "tokens"),
        ("latency_p95", "ms"),
    ):
        there, back = root_cause_line(metric, unit, before, now), root_cause_line(metric, unit, now, before)
        for said in filter(None, (there, back)):
            assert re.fullmatch(r"[+−]\S+( s| ms| min.*| tokens)? an? \w+ against the hour before: .+", said)
            assert 1 <= len(re.findall(r"−?\d+ % from ", said)) <= 3
        if there and back:
            assert {there[0], back[0]} == {"+", "−"}


@given(names, names, st.randoms())
def test_the_order_of_names_plays_no_part(old, new, dice):
    def shuffled(found):
        return dict(dice.sample(sorted(found.items()), len(found)))

    told = cost(span(prompt=old), span(prompt=new))
    assert cost(span(prompt=shuffled(old)), span(prompt=shuffled(new))) == told


@given(names, names)
def test_the_number_is_the_change_of_the_rate(old, new):
    before, now = span(prompt=old), span(hours=0.5, prompt=new)
    change = now.total[1] * 2 - before.total[1]
    for said in filter(None, [cost(before, now)]):
        assert said.split(" ")[0] == ("+" if change > 0 else "−") + amount(abs(change) / DOLLAR, "usd")


def test_a_cache_that_is_written_more_than_read_costs_and_that_is_told():
    def written(share_, extra):
        return share_[0], round(share_[1] * extra), *share_[2:]

    before = span(prompt={"answer@v7": share(cached=0.5)})
    now = span(prompt={"answer@v7": written(share(), 1.25)})
    assert cost(before, now) == (
        "+$0.75 an hour against the hour before: 100 % from fewer cache hits in answer@v7"
    )
    assert cost(now, before).startswith("−$0.75 an hour against the hour before: 100 % from more cache hits")


def test_longer_answers_and_prompts_beside_a_cache_are_not_taken_for_a_cache_that_misses():
    def priced(prompt, answer):
        gross = 100 * (prompt * 250 + answer * 2_000)
        return 100, gross - 100 * 4_000 * 225, 100 * (prompt + answer), gross, 0, 100 * answer

    before = span(prompt={"answer@v7": priced(5_000, 300)})
    for now, cause in (((5_000, 3_000), "longer answers"), ((40_000, 300), "longer prompts")):
        assert cost(before, span(prompt={"answer@v7": priced(*now)})).endswith(
            f": 100 % from {cause} in answer@v7"
        )


@given(names, names, rests)
def test_all_parts_together_are_the_change_and_exchanged_times_give_the_opposite(old, new, rest):
    before, now = span(rest=rest, prompt=old), span(prompt=new)
    if before.total[0] and now.total[0]:
        about = decomposition_of("cost", "usd")
        there, back = Comparison(about, before, now, ()), Comparison(about, now, before, ())
        assert there.whole == pytest.approx(now.total[1] - before.total[1], abs=1)
        assert sum(there.effects.values()) == there.whole
        for place, part in there.effects.items():
            assert part == pytest.approx(-back.effects[place], abs=1 + 1e-9 * abs(part))


LISTED = {"gpt-5": 8.0, "sonnet": 5.0, "search": 0.0}
PRICES = {"gpt-5": (0.25, 2.0), "sonnet": (3.0, 15.0)}


def listed(calls, prompt, answer, *, model="gpt-5", times=1.0) -> top_k.Share:
    """Calls at list prices (nano-dollars a thousandth token): prompt and answer tokens of each; times: the price rise."""
    each = (prompt * PRICES[model][0] + answer * PRICES[model][1]) * times * 1_000
    return calls, round(calls * each), calls * (prompt + answer), round(calls * each), 0, calls * answer


def factors(before: Period, now: Period, **how) -> dict[str, float]:
    """The part of each factor in the change of the cost."""
    found = Comparison(decomposition_of("cost", "usd"), before, now, (), **how)
    assert sum(found.effects.values()) == found.whole
    parts: dict[str, float] = {}
    for (_, factor), effect in found.effects.items():
        parts[factor] = parts.get(factor, 0) + effect / found.whole
    return parts


def chained(old, new) -> dict[str, float]:
    """What LMDI says of calls, tokens and the true prices of one kind of token: (calls, tokens, money) twice."""

    def mean(a, b):
        return a if a == b else (a - b) / math.log(a / b)

    parts = {"prompts": 0.0, "answers": 0.0, "price": 0.0}
    for factor, one, two in zip(("prompts", "answers"), old, new, strict=True):
        weight = mean(one[2], two[2])
        parts[factor] += weight * math.log(two[1] / one[1])
        parts["price"] += weight * math.log(two[2] / two[1] / (one[2] / one[1]))
    whole = sum(money for *_, money in new) - sum(money for *_, money in old)
    return {factor: part / whole for factor, part in parts.items()}


def test_a_price_rise_beside_longer_prompts_is_split_by_the_true_prices():
    before, now = listed(100, 4_000, 300), listed(100, 8_000, 400, times=1.3)
    told = cost(
        span(prompt={"answer@v7": before}, model={"gpt-5": before}),
        span(prompt={"answer@v7": now}, model={"gpt-5": now}),
        ratio=LISTED.get,
    )
    parts = chained(
        ((100, 400_000, 1_000), (100, 30_000, 600)), ((100, 800_000, 2_600), (100, 40_000, 1_040))
    )
    assert told.endswith(
        f": {parts['prompts']:.0%} from longer prompts in answer@v7, "
        f"{parts['price']:.0%} from a higher price in answer@v7, "
        f"{parts['answers']:.0%} from longer answers in answer@v7".replace("%", " %")
    )


@given(
    st.sampled_from(sorted(PRICES)),
    st.lists(st.integers(1, 9_000), min_size=4, max_size=4),
    st.floats(0.2, 5),
    st.booleans(),
)
def test_where_the_list_is_known_the_split_is_that_of_the_true_prices(model, sizes, times, named):
    before, now = (
        listed(1_000, *sizes[:2], model=model),
        listed(1_000, *sizes[2:], model=model, times=times),
    )
    spans = [
        span(**({"prompt": {"a@v1": each}} if named else {}), model={model: each}, rest=top_k.NO_SHARE)
        for each in (before, now)
    ]
    if abs(now[1] - before[1]) < 0.05 * before[1]:
        return
    found = factors(*spans, ratio=LISTED.get)
    rates = PRICES[model]
    kinds = [[(1, size, size * rate) for size, rate in zip(sizes[:2], rates, strict=True)]]
    kinds.append([(1, size, size * rate * times) for size, rate in zip(sizes[2:], rates, strict=True)])
    for factor, part in chained(*kinds).items():
        assert found[factor] == pytest.approx(part, abs=1e-3)


def test_a_model_in_place_of_another_has_its_own_list():
    old, new = listed(100, 4_000, 300), listed(100, 4_000, 300, model="sonnet")
    before = span(prompt={"answer@v7": old}, model={"gpt-5": old})
    now = span(prompt={"answer@v7": new}, model={"sonnet": new})
    assert cost(before, now, ratio=LISTED.get).endswith(": 100 % from sonnet instead of gpt-5")


def flat(calls, price, tokens=0) -> top_k.Share:
    """Calls that cost so many dollars each, whatever their tokens."""
    return calls, round(calls * price * DOLLAR), calls * tokens, round(calls * price * DOLLAR), 0, 0


@pytest.mark.parametrize("kind", ["prompt", "model"])
def test_calls_without_tokens_have_no_price_of_tokens(kind):
    def told(now):
        return cost(span(**{kind: {"picture": flat(100, 0.04)}}), span(**{kind: {"picture": now}}))

    named = "in picture" if kind == "prompt" else "of picture"
    assert told(flat(300, 0.04)).endswith(": 100 % from more calls")
    assert told(flat(100, 0.08)).endswith(f": 100 % from a higher cost per call {named}")
    assert told(flat(100, 0.02)).endswith(f": 100 % from a lower cost per call {named}")


def test_usage_that_is_no_longer_known_is_no_price_of_tokens():
    before, now = span(model={"m": flat(100, 0.04, 1_000)}), span(model={"m": flat(100, 0.08)})
    assert cost(before, now).endswith(": 100 % from a higher cost per call of m")
    assert cost(now, before).endswith(": 100 % from a lower cost per call of m")


def test_calls_of_unknown_usage_among_others_are_no_price_of_tokens():
    usual, given = share(300), flat(300, 0.01)
    before = span(model={"m": usual})
    now = span(model={"m": top_k.add(usual, given)}, tokenless={"": (300, 0, 0, 0, 0, 0)})
    assert cost(before, now) == "+$3 an hour against the hour before: 100 % from more calls"


def test_images_beside_answers_are_told_apart_by_their_model():
    chat = share(100)
    before = span(
        prompt={"answer@v7": top_k.add(chat, flat(10, 0.04))}, model={"chat": chat, "paint": flat(10, 0.04)}
    )
    now = span(
        prompt={"answer@v7": top_k.add(chat, flat(90, 0.04))}, model={"chat": chat, "paint": flat(90, 0.04)}
    )
    assert " price" not in cost(before, now)
    assert cost(before, now).startswith("+$3.20 an hour against the hour before: ")
    assert cost(before, now).endswith(" from more calls of paint")
    parts = factors(before, now)
    assert parts.get("price", 0) == parts.get("fee", 0) == 0


def test_a_model_with_a_price_of_calls_only_has_no_price_of_tokens():
    before, now = flat(100, 0.04, 9_000), flat(300, 0.04, 1_000)
    told = cost(span(model={"search": before}), span(model={"search": now}), ratio=LISTED.get)
    assert told.endswith(": 100 % from more calls")


@given(names, names, rests, st.sampled_from([0.0, 4.0, 8.0, None]))
def test_the_parts_are_the_change_whatever_the_list_and_with_calls_without_tokens(old, new, rest, ratio):
    old, new = ({**each, "image": flat(7, 0.5)} for each in (old, new))
    before, now = span(rest=rest, prompt=old, model=old), span(prompt=new, model=new)
    found = Comparison(decomposition_of("cost", "usd"), before, now, (), ratio=lambda _: ratio)
    assert sum(found.effects.values()) == found.whole
    assert found.whole == pytest.approx(now.total[1] - before.total[1], abs=1)


def test_a_series_of_one_model_has_its_list():
    before, now = (span(prompt={"a@v1": listed(100, *each)}) for each in ((4_000, 300), (8_000, 400)))
    assert factors(before, now, ratio=for_series(LISTED.get, {"model": "gpt-5"})) == pytest.approx(
        factors(before, now, ratio=lambda _: 8.0)
    )
    assert for_series(LISTED.get, {"team": "search"})("gpt-5") == 8
