"""The sentence a report leads with says what the figures say."""

import re
from dataclasses import replace

import pytest

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.report.findings import notes, percents, untested
from protect.verify.report.summary import (
    best_control,
    control_words,
    deed,
    first_lines,
    headline,
    most,
    place,
    with_error,
)
from protect.verify.runs.controls import CONTROLS

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


def test_every_row_says_what_its_attackers_do(comparison):
    assert deed(comparison(ARMS | {"jpeg-10": 0.2}), "jpeg-10") == "compresses the pictures again"
    assert deed(comparison(ARMS), "something-new") == "uses something-new"
    claims = (*COUNTERMEASURES.values(), *(control for control in CONTROLS if control.claim))
    assert all(re.match("[a-z]+s ", row.deed) for row in claims)  # "an attacker who ..."


def test_where_a_row_gives_most(comparison):
    found = comparison()
    assert place(most(found, "jpeg-75", "tiny-vit")) in ("tiny-vit, last epoch", "tiny-vit, best epoch")
    assert most(found, "jpeg-75").retained == pytest.approx(0.19)
    assert most(found, "not-run") is None
    assert best_control(found).arm == "random-trigger"


def test_notes_tell_limits(comparison):
    found = comparison(ARMS)
    fewer = tuple(replace(arm, pairs=700) if arm.name == "protected" else arm for arm in found.arms)
    said = " ".join(notes(replace(found, arms=fewer)))
    assert "protected: the attacker trained on 700 of the 800 clean pairs" in said
    assert "With random noise instead of the protection, attackers retain up to 97 %" in said
    assert "too little to lose, so it has no shares" in " ".join(notes(comparison(ARMS, gain=0.01)))


def test_a_matched_control_is_set_beside_its_row(comparison):
    found = comparison(ARMS | {"strong-augmentation": 0.3, "clean:strong-augmentation": 0.6})
    words = "the same treatment of clean files retains 60 %, of which this row retains 50 %"
    where = place(most(found, "strong-augmentation"))
    assert f"strong-augmentation ({where}): 30 % of the clean gain retained; {words}." in notes(found)
    assert next(iter(first_lines(found))).endswith(f"; {words}.")
    assert "Beside its matched control" not in " ".join(notes(found))
    worse = comparison(ARMS | {"strong-augmentation": 0.3, "clean:strong-augmentation": 0.6, "jpeg-75": 0.4})
    said = "Beside its matched control, strong-augmentation leaves attackers more than the weakest row does: 50 %."
    assert said in notes(worse)


def test_the_first_lines_say_the_peak_the_error_and_what_was_not_run(comparison):
    found = comparison(ARMS, not_run=("denoiser", "vae"), settings={"seeds": 1, "require": "gain<=0.5"})
    lines = list(first_lines(found))
    assert lines[0].startswith("Weakest of 3 rows, ways to use the files: protected (tiny-") and "±" in lines[0]
    assert re.search(r"results, peaks at \d+[.]\d % \(epoch 4\) and ends at", lines[1])
    assert "chance is 5.0 %" in lines[1]
    assert lines[2].startswith("As weak, as far as")
    assert "(within 2 standard errors): clean-captions 11 %, trigger-stripped 10 %" in lines[2]
    strong = "Known strong attacks that were not run: denoiser, vae (--countermeasures runs them)."
    assert lines[3:] == [strong, "Required: gain<=0.5; met."]
    far = comparison(ARMS | {"protected": 0.9})
    assert not any(line.startswith("As weak") for line in first_lines(far))
    assert list(first_lines(comparison({}, not_run=("denoiser",)))) == []


def test_errors_stand_where_they_are_known(comparison):
    found = comparison(ARMS)
    row = most(found, "protected", "tiny-resnet")
    assert re.fullmatch(r"12 ± [1-9] %", with_error(found, row))
    bare = tuple(replace(e, pictures=None) for e in found.runs[0].epochs)
    unknown = replace(found, runs=tuple(replace(run, epochs=bare) for run in found.runs))
    assert with_error(unknown, row) == "100 %"


def test_a_slow_row_without_that_reference_is_said_to_need_it(comparison):
    slow = " ".join(notes(comparison(ARMS | {"ueraser-light": 0.2, "jpeg-75": 0.2})))
    assert "Slow to learn by, from clean files too: ueraser-light." in slow and "clean:ueraser-light" in slow
    assert "Slow" not in " ".join(notes(comparison(ARMS | {"jpeg-75": 0.2})))
    slow = [name for name, row in COUNTERMEASURES.items() if row.slow]
    assert {"longer", "randaugment", "ueraser"} <= {*slow} and "no-augmentation" not in slow


def test_a_control_that_taught_too_little_gives_no_share(comparison):
    found = comparison(ARMS | {"staged": 0.01, "clean:staged": 0.02})
    row = most(found, "staged", "tiny-resnet")
    assert control_words(found, row) == (
        "the same treatment of clean files retains 2 %, too little to take a share of"
    )


def test_which_test_pictures_a_row_was_judged_by_is_said(comparison):
    found = comparison(ARMS | {"grayscale": 0.2, "blur": 0.2})
    found = replace(found, runs=tuple(transformed(run, {"grayscale": 0.1, "blur": -0.1}) for run in found.runs))
    said = next(note for note in notes(found) if "transformed as the training pairs were" in note)
    assert said.startswith("grayscale, blur: judged on") and said.endswith("for grayscale (tiny-resnet, tiny-vit).")
    assert found.retained("grayscale", "tiny-resnet", "best") > 0.3 > found.retained("blur", "tiny-resnet", "best")


def transformed(run, more):
    """The run with a result on transformed test pictures that is better by so much."""
    if run.arm not in more:
        return run
    changed = ({name: value + more[run.arm] for name, value in e.metrics.items()} for e in run.epochs)
    return replace(run, epochs=tuple(replace(e, transformed=a) for e, a in zip(run.epochs, changed, strict=True)))


def test_a_row_that_changed_nothing_is_said_to_have(comparison):
    said = "english-filter: nothing to change in these files; the figures are those of the files as published."
    assert said in notes(comparison(ARMS | {"english-filter": 0.12, "blur": 0.13}))
    assert "nothing to change" not in " ".join(notes(comparison(ARMS | {"blur": 0.13})))


def test_the_weakest_row_has_the_errors_of_its_test(comparison):
    said = next(note for note in notes(comparison()) if "standard error of" in note)
    assert re.search(r"a standard error of [1-9] points by R@10 and 0 points by mean percentile rank", said)
    assert "one training a row" in said and "2 trainings a row" in " ".join(notes(comparison(seeds=2)))


def test_noise_that_is_not_told_apart_is_said(comparison):
    close = comparison(ARMS | {"random-noise": 0.12})
    assert any("random noise differ by less than 2 standard errors" in note for note in notes(close))
    assert not any("differ by less than" in note for note in notes(comparison(ARMS)))


def test_the_key_is_named_as_untested(comparison):
    assert any("have the key (_protect/private)" in text for text in untested(comparison()))


def test_percents_are_the_mixtures_that_were_run(comparison):
    assert percents(comparison()) == [50.0, 100.0] and percents(comparison(ARMS)) == []


def test_what_was_not_tested_is_never_empty(comparison):
    said = untested(comparison(ARMS, left_out=()))
    assert (
        "Other attackers than tiny-resnet, tiny-vit, trained from scratch on at most 800 pairs for 4 epochs"
        in said[0]
    )
    assert any("Nothing was trained" in text for text in untested(comparison({})))
