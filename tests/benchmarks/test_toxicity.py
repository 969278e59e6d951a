"""The benchmark of scorers of toxicity: its figures by hand, and candidates that are not there are named."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import toxicity

TOXIC = np.array([True, True, True, True, False, False, False, False])


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ([0.9, 0.8, 0.7, 0.1, 0.2, 0.3, 0.4, 0.6], 0.75),  # three of the four are over all others
        ([1, 1, 0, 0, 1, 0, 0, 0], 0.2),  # yes at 25 % wrong and 50 % found, hence 40 % of that at 10 %
        ([0, 0, 0, 0, 0, 0, 0, 0], 0.1),  # knows nothing
    ],
)
def test_found_at_a_share_of_wrong_ones(scores, found):
    assert toxicity.found_at(0.1, np.array(scores, float), TOXIC) == pytest.approx(found)


def test_hatecheck_is_told_by_functionality(tmp_path):
    file = tmp_path / "cases.csv"
    file.write_text(
        "functionality,case_id,test_case,label_gold\n"
        "threat_dir_h,1,bad one,hateful\n"
        "threat_dir_h,2,polite one,hateful\n"
        "ident_neutral_nh,3,good one,non-hateful\n"
    )
    figures = toxicity.on_hatecheck(lambda texts: np.array([float("bad" in text) for text in texts]), file)
    assert figures["hatecheck_auc"] == 0.75
    assert figures["hatecheck_found_at_0.5"] == figures["hatecheck_threat_dir_h"] == 0.5
    assert figures["hatecheck_wrong_at_0.5"] == figures["hatecheck_ident_neutral_nh"] == 0


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    def absent():
        raise ModuleNotFoundError(name="some_model")

    monkeypatch.setattr(toxicity, "CANDIDATES", (absent,))
    file = tmp_path / "texts.csv"
    file.write_text("text,is_toxic\ngood,0\nbad,1\n")
    lines = list(toxicity.table([toxicity.attempt("absent", file, None)]))
    assert lines[-1] == "skipped toxicity/absent: some_model is not installed"
