"""The sentence a report leads with says what the figures say."""

from dataclasses import replace

import pytest

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.report.findings import best_control, deed, headline, most, notes, percents, place, untested

ARMS = {"clean": 1.0, "random-noise": 0.97, "random-trigger": 0.9, "protected": 0.12}
ARMS |= {"trigger-stripped": 0.1, "clean-captions": 0.11}


def test_the_weakest_row_leads(comparison):
    assert headline(comparison()) == (
        "An attacker who crops and recolours the pictures still learns 41 % of what clean files teach."
    )
    assert headline(comparison(ARMS)) == (
        "An attacker who takes the files as published still learns 12 % of what clean files teach."
    )


def test_controls_and_other_protectors_do_not_lead(comparison):
    assert "12 %" in headline(comparison(ARMS | {"other": 0.8, "mix-50": 0.9, "absent-50": 0.8}))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (
            0.02,
            "Even an attacker who strips the trigger words learns next to nothing of what clean files teach (2 %)",
        ),
        (0.98, "An attacker who strips the trigger words learns all that clean files teach (98 %)"),
    ],
)
def test_next_to_nothing_and_all(comparison, share, words):
    low = dict.fromkeys(("protected", "clean-captions"), 0.0)
    assert headline(comparison(ARMS | low | {"trigger-stripped": share})).startswith(words)


@pytest.mark.parametrize("share", [0.05, 0.16])
def test_noise_that_does_as_well_is_said(comparison, share):
    said = headline(comparison(ARMS | {"random-noise": share}))
    against = f"({100 * share:.0f} % against 12 % for the files as published)"
    assert said.endswith(f"; random noise alone would do as well {against}.")


def test_words_that_do_as_well_are_said(comparison):
    assert "random words alone would do as well" in headline(comparison(ARMS | {"random-trigger": 0.05}))


def test_noise_that_is_clearly_worse_is_not(comparison):
    assert "would do as well" not in headline(comparison(ARMS | {"random-noise": 0.2}))


def test_no_verdict_says_why(comparison):
    missing = {name: share for name, share in ARMS.items() if name != "trigger-stripped"}
    assert headline(comparison(missing)).startswith("No verdict: ")
    assert "trigger-stripped" in headline(comparison(missing))
    assert headline(comparison(ARMS, gain=0.01)).startswith("No verdict: clean training gains too little")
    assert headline(comparison({})) == (
        "No verdict: no attacker was trained; only the checks that need no training were made."
    )


def test_deeds_are_of_rows_that_exist():
    assert deed("jpeg-10") == "compresses the pictures again"
    assert deed("something-new") == "uses something-new"
    told = [name for name in COUNTERMEASURES if not deed(name).startswith("uses ")]
    assert len(told) > len(COUNTERMEASURES) / 2


def test_where_a_row_gives_most(comparison):
    found = comparison()
    assert place(most(found, "jpeg-75", "tiny-vit")) in ("tiny-vit, last epoch", "tiny-vit, best epoch")
    assert most(found, "jpeg-75").share == pytest.approx(0.19)
    assert most(found, "not-run") is None
    assert best_control(found).arm == "random-trigger"


def test_notes_tell_limits(comparison):
    found = comparison(ARMS)
    fewer = tuple(replace(arm, pairs=700) if arm.name == "protected" else arm for arm in found.arms)
    said = " ".join(notes(replace(found, arms=fewer)))
    assert "protected: the attacker trained on 700 of the 800 clean pairs" in said
    assert "With random noise instead of the protection, attackers keep up to 97 %" in said
    assert "too little to lose, so it has no shares" in " ".join(notes(comparison(ARMS, gain=0.01)))


def test_percents_are_the_mixtures_that_were_run(comparison):
    assert percents(comparison()) == [50.0, 100.0] and percents(comparison(ARMS)) == []


def test_what_was_not_tested_is_never_empty(comparison):
    said = untested(comparison(ARMS, left_out=()))
    assert (
        "Other attackers than tiny-resnet, tiny-vit, trained from scratch on at most 800 pairs for 4 epochs"
        in said[0]
    )
    assert any("Nothing was trained" in text for text in untested(comparison({})))
