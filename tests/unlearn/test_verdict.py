"""The verdict: what is forgotten as if never seen, what is not, what is forgotten too much, what was not asked."""

import math
from dataclasses import replace

import pytest

from protect.unlearn.attacks import Attack
from protect.unlearn.calibration import Calibration
from protect.unlearn.loop import Course
from protect.unlearn.relearning import Relearning
from protect.unlearn.report import to_dict, to_markdown, to_text
from protect.unlearn.result import Result
from protect.unlearn.verdict import at_most, below_chance, checks, headline, passed

RECALL = {f"{way}_retrieval_recall@{k}": 0.5 for way in ("text", "image") for k in (1, 5, 10)}
BEFORE = RECALL | {"accuracy": 0.9, "alignment": 2.0}
RETRAINED = RECALL | {"accuracy": 0.1, "alignment": 0.0}
FAIR = {name: Attack(0.5, 0.02) for name in ("similarity", "loss", "margin")}


def course(steps):
    return Relearning(((0, 0.1), (32, 0.5)), 0.8, steps)


def outcome(accuracy=0.1, method="ga", alignment=0.0, count=200, **changes):
    """A run that forgot as if it had never seen the pairs, unless changed."""
    kept = dict.fromkeys(("retain", "near", "facts", "far"), BEFORE)
    after = {"forget": BEFORE | {"accuracy": accuracy, "alignment": alignment}}
    result = Result(
        model="tiny-resnet", method=method, geometry="sphere", chance=0.1,
        pairs=dict.fromkeys(kept, count) | {"forget": count},
        before={"forget": BEFORE} | kept, after=after | kept, retrained={"forget": RETRAINED} | kept,
        membership={"before": FAIR, "after": FAIR, "retrained": FAIR}, distance={"before": 0.4, "after": 0.1},
        relearning={"after": course(20.0), "retrained": course(22.0)}, texts_kept=None, redirection=None,
        course=Course(1, 1.0, 1.0, 0.0), time_share=0.1, original="", loads="model",
    )  # fmt: skip
    return replace(result, **changes)


def failed(result):
    return [check.name for check in checks(result) if check.passed is False]


def answer(result, name):
    return next(check.answer for check in checks(result) if check.name == name)


def kept(**figures):
    sets = outcome().after
    return {"after": sets | {name: BEFORE | {"accuracy": value} for name, value in figures.items()}}


def test_forgotten_as_if_never_seen():
    result = outcome()
    assert passed(result) and failed(result) == [] and headline(result).startswith("Yes: ")
    assert all(check.passed for check in checks(result))


@pytest.mark.parametrize(
    ("result", "name", "says"),
    [
        (outcome(0.3), "forgotten", "still known"),
        (outcome(0.0), "forgotten", "forgotten too much"),
        (outcome(alignment=-0.6), "not pushed apart", "0.60 standard deviations"),
        (outcome(**kept(retain=0.87)), "retain kept", "90.0 % -> 87.0 %"),
        (outcome(**kept(near=0.5)), "near kept", "neighbours"),
        (outcome(**kept(facts=0.5)), "facts kept", "other facts"),
        (outcome(**kept(far=0.5)), "far kept", "another domain"),
        (outcome(membership={"after": FAIR | {"loss": Attack(0.6, 0.02)}}), "membership", "by loss"),
        (outcome(membership={"after": FAIR | {"loss": Attack(0.4, 0.02)}}), "membership", "less than"),
        (outcome(relearning={"after": course(5.0), "retrained": course(22.0)}), "relearning", "hidden"),
        (outcome(relearning={"after": course(5.0), "retrained": course(None)}), "relearning", "not within 32"),
        (outcome(distance={"before": 0.2, "after": 0.3}), "distance", "no nearer"),
    ],
)
def test_each_check_can_say_no(result, name, says):
    assert failed(result) == [name] and not passed(result)
    assert says in answer(result, name) and headline(result) == f"No: 1 of 9 checks fail ({name})."


def test_little_is_lost_within_two_points_and_chance_of_the_standard():
    assert failed(outcome(0.13)) == [] and failed(outcome(**kept(retain=0.885))) == []


def test_an_attack_counts_against_what_it_finds_in_the_retrained_model():
    biased = FAIR | {"loss": Attack(0.6, 0.02)}
    assert failed(outcome(membership={"after": biased, "retrained": biased})) == []


def test_pairs_that_come_back_nowhere_are_not_hidden():
    assert failed(outcome(relearning={"after": course(None), "retrained": course(None)})) == []


def test_what_was_not_given_is_asked_for():
    bare = {"forget": BEFORE | {"accuracy": 0.1}, "retain": BEFORE}
    result = outcome(
        before={"forget": BEFORE, "retain": BEFORE}, after=bare, retrained=None, membership=None, distance=None,
        relearning=None,
    )  # fmt: skip
    missing = {check.name: check.answer for check in checks(result) if check.passed is None}
    assert set(missing) == {
        "not pushed apart",
        "near kept",
        "facts kept",
        "far kept",
        "membership",
        "relearning",
        "distance",
    }
    assert "--forget-test" in missing["membership"] and "--retrained" in missing["distance"]
    assert headline(result).startswith("Not proven: no check fails, but 7 of 9")
    assert passed(result)


def test_pairs_of_their_own_are_judged_by_recall_on_the_very_pairs():
    own = RECALL | {"alignment": 0.0}
    low = {name: 0.3 if name.endswith("@10") else value for name, value in own.items()}
    sets = {"forget": own, "retain": own, "own": own}
    result = outcome(
        chance=None,
        before=sets,
        after=sets,
        retrained=sets | {"own": low},
        pairs={"own": 400, "forget": 90, "retain": 90},
    )
    assert "50.0 % of the forget pairs are recognised, 30.0 % by the retrained model: still known" in answer(
        result, "forgotten"
    )
    alone = replace(result, retrained=None)
    assert "nothing to compare with" in answer(alone, "forgotten") and "forgotten" not in failed(alone)


@pytest.mark.parametrize(
    ("accuracy", "count", "flagged"),
    [
        (0.0, 200, True),
        (0.04, 200, True),
        (0.10, 200, False),
        (0.3, 200, False),
        (0.075, 200, False),
        (0.0, 20, False),
    ],
)
def test_fewer_right_answers_than_luck_explains_are_seen_from_outside(accuracy, count, flagged):
    result = outcome(accuracy, count=count, retrained=None)
    assert below_chance(result) == flagged == ("whoever tests for it" in answer(result, "forgotten"))


@pytest.mark.parametrize(("right", "count", "chance"), [(0, 3, 0.5), (2, 3, 0.5), (3, 3, 0.5), (1, 4, 0.1)])
def test_the_probability_of_so_few_right_guesses_is_exact(right, count, chance):
    expected = sum(math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(right + 1))
    assert at_most(right, count, chance) == pytest.approx(expected)


def test_guessing_that_cannot_miss_or_hit_has_certain_results():
    assert at_most(0, 5, 0.0) == at_most(5, 5, 1.0) == 1 and at_most(4, 5, 1.0) == 0


def test_without_a_retrained_model_less_than_strangers_is_too_much():
    assert failed(outcome(alignment=-0.1, retrained=None)) == ["not pushed apart"]
    never = outcome(alignment=-0.1, retrained=None)
    never = replace(never, before=never.before | {"forget": BEFORE | {"alignment": -0.1}})
    assert failed(never) == []


def test_pairs_without_classes_have_no_chance_to_be_below():
    assert not below_chance(outcome(0.0, chance=None))


def test_a_retrained_model_is_the_standard_itself():
    assert "the standard" in headline(outcome(0.0, method="retrain"))


@pytest.mark.parametrize(
    ("before", "after", "passed", "says"),
    [
        (0.001, 0.4, True, "from 0.001 to 0.4 (0.7 in the retrained model): it no longer"),
        (0.001, 0.03, False, "still knows"),
        (0.3, 0.6, None, "told nothing before either"),
    ],
)
def test_a_receipt_is_asked_where_there_is_one(before, after, passed, says):
    asked = checks(outcome(receipt={"before": before, "after": after, "retrained": 0.7}))
    assert (
        len(asked) == 10 and asked[-1].name == "receipt" and asked[-1].passed is passed and says in asked[-1].answer
    )


def test_every_report_leads_with_the_verdict():
    result = outcome(0.3)
    assert to_text(result).startswith("No: 1 of 9") and "FAILS" in to_text(result)
    assert "## ga: No: 1 of 9" in to_markdown([result]) and to_dict(result)["verdict"]["checks"][0]["passed"] is False


def test_the_page_has_bars_a_chart_and_the_attacks(tmp_path):
    from protect.unlearn.page import to_page

    page = to_page(outcome(0.3), tmp_path)
    assert "<h1>No: 1 of 9 checks fail (forgotten).</h1>" in page and page.count('class="fill') == 15
    assert 'class="chart"' in page and "0.500 ± 0.020" in page and "data:image/png" not in page
    (tmp_path / "similarity.png").write_bytes(b"picture")
    curves = {"before": Calibration(((0.9, 0.8, 5),), 0.1), "after": Calibration(((0.3, 0.2, 5), (0.5, 0.4, 5)), 0.1)}
    drawn = to_page(outcome(0.3, relearning=None, calibration=curves), tmp_path)
    assert 'id="calibration"' in drawn and "before: off by 10 points" in drawn and 'id="calibration"' not in page
    assert "data:image/png" in to_page(outcome(0.3, relearning=None, membership=None, distance=None), tmp_path)
