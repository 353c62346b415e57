"""Which rows are run, and what goes when time is short."""

import pytest

from protect.settings.verify import VerifySettings
from protect.verify.countermeasures import COUNTERMEASURES, STANDARD
from protect.verify.countermeasures.base import PLAIN
from protect.verify.records import MANDATORY, Group
from protect.verify.runs.plan import Plan, chosen, strong_not_run, whole_plan, within


def plan(*arms, **settings):
    return whole_plan(VerifySettings(**settings), arms)


def names(plan):
    return [row.name for row in plan.rows]


def test_the_standard_plan():
    found = plan("other", mix=(0.5, 0.1, 1.0))
    mixtures = ["mix-10", "absent-10", "mix-50", "absent-50"]
    assert names(found) == [*MANDATORY, "other", *STANDARD, *mixtures]
    claims = [row.name for row in found.rows if row.claim]
    assert claims == ["protected", "trigger-stripped", "clean-captions", *STANDARD]
    assert [row.percent for row in found.rows[-4:]] == [10, 10, 50, 50]


def test_what_was_not_asked_for_is_said():
    said = plan(countermeasures=("standard", "blur")).left_out
    lines = dict(line.split(" rows that were not asked for: ") for line in said)
    left = {kind: names.split(", ") for kind, names in lines.items()}
    assert "webp" in left["squeeze"] and "denoiser" in left["adaptive"] and len(left) > 4
    assert not {"blur", *STANDARD} & {name for names in left.values() for name in names}


def test_known_strong_attacks_without_a_row_are_named():
    missed = strong_not_run(plan(countermeasures=("none",)).rows)
    assert {"spectral-whitening", "caption-regression", "denoiser"} <= {*missed} and "webp" not in missed
    given = {"vae": "vae.pt", "recaptions": "other", "captioner": "folder", "own_pairs": "a=b"}
    assert strong_not_run(plan(countermeasures=("all",), **given).rows) == []


def test_rows_are_trained_as_their_countermeasure_says():
    rows = {row.name: row for row in plan(countermeasures=("all",)).rows}
    assert rows["ueraser"].regime.defence and rows["strong-augmentation"].regime.view
    assert rows["jpeg-75"].regime == rows["protected"].regime == PLAIN


def test_rows_that_need_weights_are_left_out_until_they_are_named():
    without, given = (plan(countermeasures=("all",), vae=vae) for vae in (None, "vae.pt"))
    assert "vae" not in names(without) and "vae: needs --vae" in without.left_out
    assert "adaptive-denoiser: needs --own-pairs" in without.left_out
    assert "vae" in names(given) and "denoiser" in names(without)  # which only needs the clean pairs


def test_a_setting_that_makes_a_row_asks_for_it():
    assert "recaptioned" in names(plan(recaptions="other", mix=())) and "vae" in names(plan(vae="vae.pt"))
    assert "recaptioned" not in names(plan(recaptions="other", countermeasures=("none",)))
    assert "lora" not in names(plan(pretrained="weights"))  # which changes every row by itself


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("none",), []),
        (("standard",), list(STANDARD)),
        (("grayscale", "blur", "scraper-chain"), ["scraper-chain", "grayscale", "blur"]),
        (("grayscale", "half-words", "controls"), ["half-words", "grayscale", "clean:grayscale"]),
        (("blur", "standard", "blur"), [*STANDARD, "blur"]),
    ],
)
def test_countermeasures_by_name(asked, found):
    assert chosen(asked) == found


def test_all_begins_with_the_standard_ones():
    assert chosen(("all",))[: len(STANDARD)] == list(STANDARD)
    apart = ("longer", "some-captions", "recaptioned", "machine-captions")
    assert sorted(chosen(("all",))) == sorted([*COUNTERMEASURES, *(f"clean:{name}" for name in apart)])


def test_controls_are_added_where_less_is_left_to_train_on():
    asked = ("half-words", "english-filter", "some-captions", "large-batch-512")
    added = {name for name in chosen((*asked, "controls")) if name.startswith("clean:")}
    assert added == {"clean:english-filter", "clean:some-captions", "clean:large-batch-512"}
    found = plan(countermeasures=("recaptioned",))
    assert "clean:recaptioned" not in names(found) and [line for line in found.left_out if "needs" in line] == [
        "recaptioned: needs --recaptions"
    ]


def test_a_control_follows_its_row_and_counts_for_nothing():
    asked = ("blur", "clean:blur", "clean:strong-augmentation", "longer")
    rows = plan(countermeasures=asked, mix=()).rows[len(MANDATORY) :]
    assert [(row.name, row.group, row.claim) for row in rows] == [
        ("clean:strong-augmentation", Group.CONTROL, False),
        ("blur", Group.COUNTERMEASURE, True),
        ("clean:blur", Group.CONTROL, False),
        ("longer", Group.COUNTERMEASURE, True),
        ("clean:longer", Group.CONTROL, False),
    ]
    assert {row.name: row.regime.times for row in rows} == {
        "clean:strong-augmentation": 1,
        "longer": 4,
        "clean:longer": 4,
        "blur": 1,
        "clean:blur": 1,
    }
    assert next(row for row in rows if row.name == "clean:strong-augmentation").regime.view == "strong"


def test_what_needs_the_clean_files_has_no_control():
    with pytest.raises(ValueError, match="clean:NAME; got clean:denoiser"):
        plan(countermeasures=("clean:denoiser",))


def test_a_control_goes_before_its_row_when_time_is_short():
    whole = plan(countermeasures=("blur", "clean:blur"), mix=(), limit=1000)
    found = within(whole, seconds, 70.0, 1000, 16)
    assert names(found) == [*MANDATORY, "blur"] and "rows: clean:blur" in found.left_out[-1]


def test_an_unknown_countermeasure_is_refused():
    with pytest.raises(ValueError, match=r"expected some of standard, all, none, .*; got bleach"):
        plan(countermeasures=("bleach",))


def seconds(plan):
    return len(plan.rows) * plan.seeds * plan.epochs * plan.pairs / 1000


KINDS = ("whiten-and-deduplicate", "strong-augmentation", "half-words", "scraper-chain", "jpeg-75")  # 3 strong


@pytest.fixture
def whole():
    """16 rows, 3 seeds, 10 epochs, 1,000 pairs: 480 seconds."""
    return Plan(plan("other", mix=(0.1, 0.5), countermeasures=KINDS).rows, 3, 10, 1000, ("before",))


def test_a_plan_that_fits_stays(whole):
    assert within(whole, seconds, 480.0, 1000, 16) == whole


@pytest.mark.parametrize(
    ("budget", "seeds", "rows", "epochs", "pairs", "said"),
    [
        (330.0, 2, 16, 10, 1000, ["seeds: 2 of 3"]),
        (160.0, 1, 16, 10, 1000, ["seeds: 1 of 3"]),
        (145.0, 1, 14, 10, 1000, ["seeds: 1 of 3", "rows: scraper-chain, jpeg-75"]),
        (100.0, 1, 10, 10, 1000, ["seeds: 1 of 3", "rows: scraper-chain, jpeg-75, mix-10, absent-10, mix-50"]),
        (60.0, 1, 10, 6, 1000, ["seeds: 1 of 3", "rows: scraper-chain", "epochs: 6 of 10"]),
        (45.0, 1, 9, 5, 1000, ["seeds: 1 of 3", "rows: half-words, scraper-chain", "epochs: 5 of 10"]),
        (28.0, 1, 7, 4, 1000, ["seeds: 1 of 3", "rows: whiten-and-deduplicate, strong", "epochs: 4 of 10"]),
        (13.0, 1, 7, 3, 500, ["seeds: 1 of 3", "rows", "epochs: 3 of 10", "training pairs: 500 of 1000"]),
    ],
)
def test_what_goes_first(whole, budget, seeds, rows, epochs, pairs, said):
    found = within(whole, seconds, budget, 1000, 16)
    assert (found.seeds, len(found.rows), found.epochs, found.pairs) == (seeds, rows, epochs, pairs)
    assert seconds(found) <= budget and names(found)[:7] == [*MANDATORY, "other"]
    assert found.left_out[0] == "before" and len(found.left_out) == 1 + len(said)
    for text, start in zip(found.left_out[1:], said, strict=True):
        assert text.startswith(start) and "(budget of " in text


def test_both_rows_of_a_mixture_go_together(whole):
    found = within(whole, seconds, 120.0, 1000, 16)
    assert names(found)[7:] == [*KINDS[:3], "mix-10", "absent-10"]


def test_too_small_a_budget_is_said(whole):
    found = within(whole, seconds, 1.0, 1000, 64)
    assert found.pairs == 350 and "nothing more can go: about" in found.left_out[-1]
