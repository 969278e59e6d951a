"""`llmvitals prices`: what is known of a model, what a file changes, and a newer list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmvitals.cli import app
from llmvitals.errors import ConfigError
from llmvitals.price import Prices

OWN = """
[models."my-llama"]
provider = "my-cloud"
input_mtok = 0.25
output_mtok = { base = 1, tiers = [{ start = 200000, price = 2 }] }
batch = { input_mtok = 0.125 }
[models."gpt-4o"]
provider = "openai"
input_mtok = 2
output_mtok = 10
[discounts]
openai = 0.1
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str, **settings: object) -> Result:
    env = {"COLUMNS": "200", "TERM": "dumb"}
    env |= {f"LLMVITALS_{name.upper()}": str(value) for name, value in settings.items()}
    return CliRunner(env=env).invoke(app, ["prices", *words])


def written(name: str, text: str) -> Path:
    path = Path(name).absolute()
    path.write_text(text)
    return path


def lines(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.output.splitlines()]


def test_show_tells_where_a_price_is_from() -> None:
    own = written("own.toml", OWN)
    listed = run("show", "gpt-5")
    assert lines(listed)[0] == "gpt-5 at openai, from genai-prices"
    assert {"input 1.25 million tokens", "flex output 5 million tokens"} <= set(lines(listed))
    shipped = run("show", "meta-llama/Llama-3.3-70B-Instruct", "--provider", "deepinfra")
    assert lines(shipped)[0].endswith("at deepinfra, from LiteLLM")
    mine = run("show", "my-cloud/my-llama", prices=own)
    assert lines(mine)[0] == "my-llama at my-cloud, from price file"
    assert "output 1 (above 200,000: 2) million tokens" in lines(mine)
    as_json = json.loads(run("show", "my-llama", "--json", prices=own).output)
    assert as_json["prices"]["batch.input_mtok"] == "0.125"
    assert as_json["source"] == "price file"


def test_show_names_the_nearest_known_model() -> None:
    result = run("show", "gpt-4o-minni", "--provider", "openai")
    assert result.exit_code == 1
    assert "gpt-4o-minni has no price at openai; the nearest known model is gpt-4o-mini." in result.output
    assert json.loads(run("show", "gpt-4o-minni", "--json").output)["nearest"] == "gpt-4o-mini"


def test_check() -> None:
    assert run("check", str(written("own.toml", OWN))).output.endswith("2 models, 1 discounts, fine\n")
    off = run("check", prices=written("off.toml", "[models.gpt-4o]\ninput_mtok = 0.0000025"))
    assert off.exit_code == 0
    assert "for one token instead of a million" in off.output
    wrong = run("check", str(written("wrong.toml", "[models.m]\ninput_mtok = -1")))
    assert isinstance(wrong.exception, ConfigError)
    assert "m.input_mtok" in str(wrong.exception)
    with pytest.raises(ConfigError, match="set LLMVITALS_PRICES"):
        raise run("check").exception or AssertionError


def test_diff_against_the_prices_in_use_and_another_file() -> None:
    own = written("own.toml", OWN)
    rows = lines(run("diff", str(own)))
    assert "openai/gpt-4o input 2.5 2 -20.0%" in rows
    assert "my-cloud/my-llama input – 0.25" in rows
    assert not any("gpt-4o output" in row for row in rows)
    new = written("new.toml", OWN.replace("0.25", "0.3"))
    assert json.loads(run("diff", str(new), str(own), "--json").output) == [
        {"model": "my-cloud/my-llama", "price": "input_mtok", "old": 0.25, "new": 0.3}
    ]
    assert run("diff", str(own), str(own)).output == "No price differs.\n"


def entry(price: float) -> dict[str, Any]:
    return {"litellm_provider": "bulk", "input_cost_per_token": price, "output_cost_per_token": price, "x": 1}


def test_update_writes_a_list_that_workers_read() -> None:
    now = written("now.json", json.dumps({f"bulk/m{n}": entry(1e-6) for n in range(4)}))
    new = {f"bulk/m{n}": entry(2e-6 if n == 1 else 1e-6) for n in range(1, 5)}
    source = written("source.json", json.dumps(new | {"sample_spec": {}}))
    dry = run("update", str(source), "--dry-run", listed_prices=now)
    assert dry.output == "4 models: 1 new, 1 changed, 1 gone\n"
    assert json.loads(now.read_text()).keys() != new.keys()
    done = run("update", str(source), listed_prices=now)
    assert done.output.splitlines()[-1] == f"written to {now}"
    assert Prices(None, now).find("bulk", "m4")
    assert not Prices(None, now).find("bulk", "m0")
    assert run("update", str(source), listed_prices=now).output.startswith("4 models: 0 new, 0 changed")


def test_update_refuses_what_is_no_whole_list() -> None:
    now = written("now.json", json.dumps({f"bulk/m{n}": entry(1e-6) for n in range(9)}))
    before = now.read_bytes()
    for text, says in (
        (json.dumps({"bulk/m0": entry(1e-6)}), "1 models with prices, instead of 9"),
        ("<html>", "is not LiteLLM's price file"),
        ("{}", "is not LiteLLM's price file"),
    ):
        result = run("update", str(written("source.json", text)), listed_prices=now)
        assert isinstance(result.exception, ConfigError)
        assert says in str(result.exception)
    assert "can't be read" in str(run("update", "nowhere.json", listed_prices=now).exception)
    assert now.read_bytes() == before
