"""Forgetting that can be seen from outside is flagged, and only that."""

import math
from dataclasses import replace

import pytest

from protect.unlearn.loop import Course
from protect.unlearn.report import at_most, below_chance, notes, to_markdown, to_text
from protect.unlearn.run import Result

RECALL = {f"{way}_retrieval_recall@{k}": 0.5 for way in ("text", "image") for k in (1, 5, 10)}
BEFORE = RECALL | {"accuracy": 0.9, "true_similarity": 0.9, "similarity": 0.1}


def outcome(accuracy, method="ga", retrained=None, chance=0.1, count=200, **similarities):
    """A run's result with this forget accuracy on `count` pairs."""
    after = BEFORE | {"accuracy": accuracy, "true_similarity": 0.3, "similarity": 0.1} | similarities
    return Result(
        model="tiny-resnet", method=method, geometry="sphere", chance=chance,
        pairs={"forget": count, "retain": count},
        before={"forget": BEFORE, "retain": BEFORE}, after={"forget": after, "retain": BEFORE},
        membership={"before": 0.7, "after": 0.5}, distance={"before": 0.4, "after": 0.3}, texts_kept=None,
        redirection=None, course=Course(1, 1.0, 1.0, 0.0), time_share=0.1, original="", loads="model",
        retrained_accuracy=retrained,
    )  # fmt: skip


def signatures(result):
    return [note for note in notes(result) if note.startswith("signature")]


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
def test_fewer_right_answers_than_luck_explains_are_a_signature(accuracy, count, flagged):
    result = outcome(accuracy, count=count)
    assert below_chance(result) == flagged == bool(signatures(result))


@pytest.mark.parametrize(("right", "count", "chance"), [(0, 3, 0.5), (2, 3, 0.5), (3, 3, 0.5), (1, 4, 0.1)])
def test_the_probability_of_so_few_right_guesses_is_exact(right, count, chance):
    expected = sum(math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(right + 1))
    assert at_most(right, count, chance) == pytest.approx(expected)


def test_guessing_that_cannot_miss_or_hit_has_certain_results():
    assert at_most(0, 5, 0.0) == at_most(5, 5, 1.0) == 1 and at_most(4, 5, 1.0) == 0


def test_a_signature_is_set_beside_what_the_retrained_model_does():
    (only,) = signatures(outcome(0.0, retrained=0.12))
    assert "0.0 % of the forget pairs" in only and "retrained without them 12.0 %: only unlearning explains" in only
    (shared,) = signatures(outcome(0.0, retrained=0.01))
    assert "does no better (1.0 %)" in shared
    (alone,) = signatures(outcome(0.0))
    assert "whoever tests for it can see" in alone
    (fresh,) = signatures(outcome(0.0, method="retrain"))
    assert "proves nothing" in fresh


def test_forget_pairs_less_alike_than_others_are_a_signature_too():
    (said,) = signatures(outcome(0.1, true_similarity=-0.2))
    assert "anti-aligned" in said
    never = outcome(0.1, true_similarity=-0.2)
    never = replace(never, before={"forget": BEFORE | {"true_similarity": 0.0}, "retain": BEFORE})
    assert not signatures(never)


def test_pairs_without_classes_have_no_chance_to_be_below():
    assert not below_chance(outcome(0.0, chance=None))


def test_reports_carry_the_signature():
    result = outcome(0.0, true_similarity=-0.2)
    assert to_text(result).count("signature") == 2 == to_markdown([result]).count("signature")
