"""What follows from a comparison's records: shares, learnability, the weakest row, whether a requirement holds."""

from dataclasses import replace

import pytest

from protect.verify.records import MANDATORY, EpochResult, Run, Source, mix_names

ALL = dict.fromkeys(MANDATORY, 0.9) | {
    "clean": 1.0,
    "protected": 0.1,
    "trigger-stripped": 0.2,
    "clean-captions": 0.15,
}


def epoch(number, score):
    ways = ("image_retrieval", "text_retrieval")
    return EpochResult(number, 2.5, {f"{way}_recall@10": score for way in ways}, 1.0)


def with_scores(found, **scores):
    """The same comparison with one attacker and these R@10 an epoch, from epoch 0, by arm; chance 10 %."""
    runs = tuple(
        Run(arm, arm, "tiny-vit", 0, tuple(epoch(i, score) for i, score in enumerate([0.1, *values])))
        for arm, values in scores.items()
    )
    return replace(found, runs=runs, chance=epoch(0, 0.1).metrics)


def test_the_share_of_the_clean_gain(comparison):
    found = with_scores(comparison(), clean=[0.2, 0.6, 0.5], protected=[0.3, 0.1, 0.05])
    assert found.retained("clean", "tiny-vit", "last") == found.retained("clean", "tiny-vit", "best") == 1
    assert found.retained("protected", "tiny-vit", "best") == pytest.approx(0.2 / 0.5)
    assert found.retained("protected", "tiny-vit", "last") == pytest.approx(-0.05 / 0.4)
    assert found.retained("random-noise", "tiny-vit", "last") is None


def test_too_little_to_lose_is_no_share_and_no_verdict(comparison):
    found = with_scores(comparison(), **{name: [0.12, 0.14] for name in MANDATORY})
    assert found.retained("protected", "tiny-vit", "best") is None and found.weakest() is None
    assert "too little to lose: tiny-vit 4.0 points" in found.refusal


def test_a_gain_that_luck_explains_is_no_share(comparison):
    found = with_scores(comparison(), clean=[0.5], protected=[0.1])
    assert found.retained("protected", "tiny-vit", "last") == pytest.approx(0)
    few = replace(found, test=Source("test", 4, 0, {}))
    assert few.least_gain == pytest.approx(0.45) and few.retained("protected", "tiny-vit", "last") is None


def test_seeds_are_averaged(comparison):
    found = with_scores(comparison(), clean=[0.5])
    other = replace(found.runs[0], seed=1, epochs=(epoch(0, 0.1), epoch(1, 0.7)))
    both = replace(found, runs=(*found.runs, other))
    assert both.gain("clean", "tiny-vit", "last") == both.mean("clean", "tiny-vit", "last") - 0.1
    assert both.gain("clean", "tiny-vit", "last") == pytest.approx(0.5)


def test_the_weakest_row_is_a_claim(comparison):
    found = comparison(ALL | {"jpeg-75": 0.3, "other": 0.8, "mix-50": 0.7, "absent-50": 0.6})
    share, arm, attacker, moment = found.weakest()
    assert arm == "jpeg-75" and share == pytest.approx(0.3) == found.retained(arm, attacker, moment)
    assert found.refusal == ""


@pytest.mark.parametrize("missing", MANDATORY)
def test_without_a_mandatory_arm_there_is_no_verdict(comparison, missing):
    found = comparison({name: share for name, share in ALL.items() if name != missing} | {"jpeg-75": 0.3})
    assert found.weakest() is None and found.refusal == f"mandatory rows not run: {missing}"
    assert not replace(found, settings={"require": "gain<=1"}).passed


def test_every_attacker_needs_the_mandatory_arms(comparison):
    found = comparison(ALL)
    runs = tuple(run for run in found.runs if (run.arm, run.attacker) != ("clean-captions", "tiny-vit"))
    assert "clean-captions" in replace(found, runs=runs).refusal


@pytest.mark.parametrize(
    ("require", "passed"),
    [("gain<=0.2", True), ("gain<=0.19", False), (" gain < 20.1% ", True), ("gain<=19%", False), (None, True)],
)
def test_what_is_required_holds_for_the_weakest_row(comparison, require, passed):
    assert replace(comparison(ALL), settings={"require": require}).passed is passed


def test_without_training_leaks_decide(comparison):
    found = replace(comparison({}), runs=())
    assert not found.passed and replace(found, cheap=replace(found.cheap, leaks=())).passed


def test_learnability(comparison):
    scores = {"clean": [0.5], "mix-50": [0.35], "absent-50": [0.3], "protected": [0.14]}
    found = replace(with_scores(comparison(), **scores), test=Source("test", 1000, 0, {}))
    assert found.learnability(50.0, "tiny-vit", "last") == pytest.approx(0.05 / 0.2)
    assert found.learnability(100.0, "tiny-vit", "last") == pytest.approx(0.04 / 0.4)
    assert found.learnability(10.0, "tiny-vit", "last") is None  # not run
    few = replace(found, test=Source("test", 20, 0, {}))
    assert few.learnability(50.0, "tiny-vit", "last") is None  # clean and absent differ by luck


def test_a_mixtures_rows_are_named_by_their_share():
    assert mix_names(50.0) == ("mix-50", "absent-50") and mix_names(12.5)[0] == "mix-12.5"
