"""Tables for the terminal and Markdown, and what a report puts into them."""

import math
from dataclasses import replace

import pytest

from protect.verify.records import LINEAR_PROBE, ZERO_SHOT, Group
from protect.verify.report import to_text
from protect.verify.report.contents import (
    arms_table,
    checks_table,
    classes_table,
    data_table,
    dilution_table,
    distortion_table,
    duration,
    explained,
    hashes,
    settings_table,
    transfer_table,
)
from protect.verify.report.documents import to_markdown
from protect.verify.report.export import to_benchmark
from protect.verify.report.page import to_page

SHARES = {
    "clean": 1.0,
    "random-noise": 0.97,
    "random-trigger": 0.9,
    "protected": 0.12,
    "trigger-stripped": 0.31,
    "clean-captions": 0.28,
    "jpeg-75": 0.19,
    "strong-augmentation": 0.41,
}


def cells(table):
    return {row[: table.names]: row[table.names :] for row in table.rows}


def test_arms_have_chance_first_and_mark_the_weakest(comparison):
    found = comparison()
    table = arms_table(found, found.arms, "all")
    assert [row[:2] for row in table.rows[:4]] == [
        ("chance, computed", ""),
        ("chance, untrained", "tiny-resnet"),
        ("chance, untrained", "tiny-vit"),
        ("clean", "tiny-resnet"),
    ]
    assert cells(table)["clean", "tiny-resnet"] == (
        *("100 ± 0 %",) * 3,
        *("4", "65.0", "65.0", "42", "42"),
    )
    assert cells(table)["strong-augmentation", "tiny-vit"][2] == "41 ± 0 %"
    assert [(table.rows[i][0], mark) for i, mark in table.marks.items()] == [("strong-augmentation", "weakest")]


def test_seeds_show_their_spread(comparison):
    found = comparison(seeds=2)
    clean = cells(arms_table(found, found.arms, "all"))["clean", "tiny-resnet"]
    assert clean[4] == "66.2 (65.0..67.4)"


def test_a_row_that_was_not_run_is_not_in_the_table(comparison):
    found = comparison()
    runs = tuple(run for run in found.runs if (run.arm, run.attacker) != ("jpeg-75", "tiny-vit"))
    names = {row[:2] for row in arms_table(replace(found, runs=runs), found.arms, "all").rows}
    assert ("jpeg-75", "tiny-resnet") in names and ("jpeg-75", "tiny-vit") not in names


def test_the_transfer_matrix_compares_protectors(comparison):
    table = transfer_table(comparison())
    assert table.header == ("files", "tiny-resnet", "tiny-vit")
    assert table.rows[2:] == (("protected", "12 %", "12 %"), ("other", "60 %", "60 %"))


def test_mixtures_end_with_the_protected_files_alone(comparison):
    found = cells(dilution_table(comparison()))
    assert found["50 %", "tiny-resnet"] == ("10 %", "10 %", "38.0", "35.0", "65.0")
    assert found["100 %", "tiny-resnet"] == ("12 %", "12 %", "12.2", "5.0", "65.0")


def test_distortion_stands_beside_a_clean_re_encode(comparison):
    found = comparison()
    assert [row[1:] for row in distortion_table(found).rows] == [("8", "32.5", "0.9300"), ("-", "41.0", "0.9900")]
    equal = replace(found, cheap=replace(found.cheap, psnr=math.inf, reencode_psnr=None, reencode_ssim=None))
    assert [row[1:] for row in distortion_table(equal).rows] == [("8", "equal", "0.9300")]
    rated = replace(found, cheap=replace(found.cheap, ssimulacra2=54.6, reencode_ssimulacra2=88.0))
    assert [row[-1] for row in distortion_table(rated).rows] == ["55", "88"]
    assert distortion_table(replace(found, cheap=None)) is None and checks_table(replace(found, cheap=None)) is None


def test_almost_all_words_are_not_all(comparison):
    found = cells(checks_table(comparison()))
    assert found["trigger words whole, CLIP",][0] == "100 %"
    assert found["trigger words whole, BERT",][0] == "99.9 %"
    assert found[("leaks of clean material",)][0] == "1"


def test_the_probe_stands_beside_clean_pictures(comparison):
    found = comparison()
    name = ("planted word read off the picture by a linear probe",)
    assert cells(checks_table(found))[name] == ("97 %", "6 % off clean ones")
    assert name not in cells(checks_table(replace(found, cheap=replace(found.cheap, probe=None))))


def test_how_it_was_made(comparison):
    found = comparison(seeds=3)
    made = dict(settings_table(found).rows)
    assert made["seed numbers"] == "0, 1, 2" and made["torch"] == "2" and made["time taken"] == "13 min"
    assert cells(data_table(found))["test", "judged on, never trained on"] == ("200", "1", "1")
    assert ("test", "test.tar", "ab" * 32) in hashes(found)
    assert len(hashes(found)) == len(set(hashes(found)))


@pytest.mark.parametrize(("seconds", "text"), [(4.25, "4.2 s"), (754.0, "13 min"), (7260.0, "2 h 1 min")])
def test_durations(seconds, text):
    assert duration(seconds) == text


CONTROLS = SHARES | {"clean:strong-augmentation": 0.5}


def test_the_share_of_a_matched_control_has_a_column(comparison):
    found = comparison(CONTROLS)
    table = arms_table(found, found.arms, "all")
    assert "of its control" not in arms_table(found, found.group(Group.MANDATORY), "").header
    assert (
        table.header[5] == "of its control"
        and "of its control" not in arms_table(comparison(), found.arms, "").header
    )
    assert cells(table)["strong-augmentation", "tiny-resnet"][2:4] == ("41 ± 0 %", "82 %")
    assert cells(table)["jpeg-75", "tiny-resnet"][3] == ""
    assert "clean:NAME" in explained(found) and "control" not in explained(comparison())


def test_what_a_row_drops_is_shown_in_every_medium(comparison):
    found = comparison()
    lossy = {"jpeg-75": {"dropped_pairs": 0.125}, "strong-augmentation": {"dropped_words": 0.3}}
    arms = tuple(replace(arm, **lossy.get(arm.name, {})) for arm in found.arms)
    found = replace(found, arms=arms)
    table = arms_table(found, found.arms, "all")
    assert table.header[6] == "dropped" and "dropped" not in arms_table(comparison(), arms[:6], "").header
    assert cells(table)["jpeg-75", "tiny-vit"][4] == "12.5 % pairs"
    assert cells(table)["protected", "tiny-vit"][4] == ""
    for text in (to_text(found), to_markdown(found), to_page(found).replace("\N{NO-BREAK SPACE}", " ")):
        assert "12.5 % pairs" in text and "30.0 % words" in text
    assert "dropping counts as protection" in explained(found)


KEYED = {name: share for name, share in SHARES.items() if name not in ("random-trigger", "trigger-stripped")}
WHY = {name: "captions unchanged: nothing to strip" for name in ("random-trigger", "trigger-stripped")}


def test_a_row_that_makes_no_sense_is_named_and_not_missed(comparison):
    found = comparison(KEYED, inapplicable=WHY)
    assert found.refusal == "" and found.weakest() is not None
    rows = cells(arms_table(found, found.arms, "all"))
    assert rows["trigger-stripped", "not applicable"][:2] == ("-", "-")
    assert cells(data_table(found))["trigger-stripped", f"not applicable; {WHY['trigger-stripped']}"] == ("-",) * 3
    for text in (to_text(found), to_markdown(found), to_page(found)):
        assert "trigger-stripped is not applicable: captions unchanged: nothing to strip" in text


def test_the_terminal_leads_with_the_sentence_and_names_the_row(comparison):
    lines = to_text(comparison(settings={"seeds": 1, "require": "gain<=0.2"})).splitlines()
    assert lines[0].endswith("still learns 41 % of what clean files teach.")
    assert lines[1].startswith("Weakest of 5 rows, ways to use the files: strong-augmentation (tiny-")
    assert lines[3] == "Required: gain<=0.2; not met."
    assert "Leak: 00000.tar: field url" in lines
    assert "Not tested: Purification: needs weights that were not named." in lines


def test_markdown_has_every_part(comparison):
    text = to_markdown(comparison())
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "Mandatory rows",
        "Countermeasures and other rows",
        "Transfer",
        "Mixtures",
        "Imperceptibility",
        "Cheap checks",
        "Not tested",
        "Data, settings and versions",
    ]
    assert "strong-augmentation <- weakest" in text and "ab" * 32 in text


def test_without_training_only_the_checks_are_told(comparison):
    found = comparison({})
    for text in (to_text(found), to_markdown(found)):
        assert "No verdict: no attacker was trained" in text
        assert "linear probe" in text and "R@10" not in text


def classified(found, zero_shot, probe):
    """With accuracies by row at every epoch but the first, where they are 0.1 and 0.3."""

    def epoch(arm, result):
        values = (zero_shot[arm], probe[arm]) if result.epoch else (0.1, 0.3)
        return replace(result, metrics=result.metrics | dict(zip((ZERO_SHOT, LINEAR_PROBE), values, strict=True)))

    runs = [replace(run, epochs=tuple(epoch(run.arm, e) for e in run.epochs)) for run in found.runs]
    return replace(found, runs=tuple(runs), chance=found.chance | {ZERO_SHOT: 0.1, LINEAR_PROBE: 0.12})


def test_classes_have_a_table_in_every_medium(comparison):
    zero_shot = dict.fromkeys(SHARES, 0.5) | {"protected": 0.1}
    found = classified(comparison(SHARES), zero_shot, dict.fromkeys(SHARES, 0.7) | {"protected": 0.5})
    rows = cells(classes_table(found))
    assert rows["chance, computed", ""] == ("10.0", "", "12.0", "")
    assert rows["untrained", "tiny-vit"] == ("10.0", "", "30.0", "")
    assert rows["protected", "tiny-vit"] == ("10.0", "0 %", "50.0", "50 %")  # the probe finds what retrieval hides
    assert rows["clean", "tiny-vit"] == ("50.0", "100 %", "70.0", "100 %")
    for text in (to_text(found), to_markdown(found), to_page(found)):
        assert "a linear probe of the image tower" in text
    tasks = {record["task"]: record["metrics"] for record in to_benchmark(found)}
    assert tasks["linear_probe"] == {"acc1": 0.7} and set(tasks) == {
        "zeroshot_retrieval",
        "zeroshot_classification",
        "linear_probe",
    }
    assert not {ZERO_SHOT, LINEAR_PROBE} & set(tasks["zeroshot_retrieval"])


def test_without_classes_there_is_no_such_table(comparison):
    assert classes_table(comparison()) is None and "linear probe of the image tower" not in to_page(comparison())
