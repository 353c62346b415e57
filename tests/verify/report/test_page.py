"""The files of a report: one offline page, Markdown, two JSON files."""

import json
import math
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from protect.verify.report import SamplePair, save
from protect.verify.report.export import to_benchmark, to_dict, to_json
from protect.verify.report.page import to_page

SECTIONS = ("verdict", "curves", "rows", "transfer", "countermeasures")
SECTIONS += ("mixtures", "imperceptibility", "checks", "untested", "data")
VOID = {"meta", "img", "br", "hr", "input", "link"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """Elements with their attributes, ids, links; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def pairs():
    clean = np.random.default_rng(0).integers(0, 248, (48, 64, 3), np.uint8)
    return [SamplePair(f"00{i}", clean, clean + np.uint8(7), "a <b>cat</b>", "zebra a <b>cat</b>") for i in range(2)]


@pytest.fixture(scope="module")
def html(comparison, pairs):
    return to_page(comparison(seeds=2), pairs)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_every_section_is_there_and_linked(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert set(SECTIONS) <= set(ids) and not [name for name, count in Counter(ids).items() if count > 1]
    targets = [link["href"] for link in page.of("a")]
    assert targets == [f"#{name}" for name in SECTIONS[1:]]
    labels = {name for _, a in page.elements for name in a.get("aria-labelledby", "").split()}
    assert labels <= set(ids)


def test_nothing_leads_outside(html, page):
    assert not re.search(r"https?:|//[a-z]|@import|url\(", html)
    assert not [tag for tag, _ in page.elements if tag in ("script", "link", "iframe", "object", "form")]
    assert all(image["src"].startswith("data:image/") for image in page.of("img"))
    policy = next(meta["content"] for meta in page.of("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy


def test_it_leads_with_the_sentence_and_the_weakest_row(page):
    said = page.text.replace("\N{NO-BREAK SPACE}", " ")
    sentence = "An attacker who crops and recolours the pictures still learns 41 % of what clean files teach."
    assert said.index(sentence) < said.index("Weakest row") < said.index("Retrieval by epoch")
    for text in ("chance 5.0 %", "purification", "13 min", "note on jpeg-75", "as if clean"):
        assert text.lower() in said.lower()


def test_pictures_have_words_and_captions_are_text(page, html):
    assert len(page.of("img")) == 6 and all(image["alt"] for image in page.of("img"))
    assert len(page.of("svg")) == 4 and all(figure["role"] == "img" for figure in page.of("svg"))
    assert "<b>cat" not in html and "a <b>cat</b>" in page.text
    assert "<ins>zebra</ins>" in html
    assert "this file holds clean pictures" in page.text


def test_tables_are_tables(page):
    assert len(page.of("table")) >= 9
    assert all("scope" in header for header in page.of("th"))


def test_light_and_dark(html):
    style = html[html.index("<style>") : html.index("</style>")]
    light, dark = (set(re.findall(r"(--\w+): #", part)) for part in style.split("prefers-color-scheme: dark", 1))
    assert light == dark and len(light) > 10
    used = set(re.findall(r"var\((--\w+)", style)) - {"--c", "--heat"}
    assert used <= light
    assert 'name="color-scheme" content="light dark"' in html


def test_without_samples_it_is_not_called_private(comparison):
    page = Page(to_page(comparison()))
    assert not page.of("img") and "Private" not in page.text


@pytest.mark.parametrize("shares", [{}, None])
def test_a_report_without_a_verdict(comparison, shares):
    found = comparison({}) if shares == {} else comparison(gain=0.01)
    page = Page(to_page(found))
    assert "No verdict" in page.text and "Weakest row" not in page.text
    drawn = {attributes.get("id") for _, attributes in page.elements}
    assert ("curves" in drawn) == bool(found.runs) and "checks" in drawn


def test_without_cheap_checks_and_mixtures(comparison):
    few = comparison({"clean": 1.0, "protected": 0.2}, cheap=None)
    drawn = {attributes.get("id") for _, attributes in Page(to_page(few)).elements}
    assert not {"mixtures", "imperceptibility", "checks"} & drawn and {"rows", "untested", "data"} <= drawn


def test_a_requirement_is_drawn_and_judged(comparison):
    for require, word in (("gain<=0.2", "not met by"), ("gain<=0.5", "met by")):
        page = Page(to_page(comparison(settings={"seeds": 1, "require": require})))
        assert require in page.text and page.text[page.text.index(require) :][len(require) :].startswith(word)


def test_a_matched_control_is_a_mark_on_the_bar_of_its_row(comparison):
    base = {
        name: 0.2 for name in ("random-noise", "random-trigger", "protected", "trigger-stripped", "clean-captions")
    }
    page = Page(to_page(comparison({"clean": 1.0} | base | {"longer": 0.4, "clean:longer": 1.6})))
    marks = [span["style"] for span in page.of("span") if span.get("class") == "matched"]
    assert len(marks) == 2 and all(re.fullmatch(r"left: (100|9\d)[.\d]*%", mark) for mark in marks)
    assert "the same treatment of clean files retains 160 %, of which this row retains 25 %" in page.text.replace(
        "\xa0", " "
    )


# Files


def test_save_writes_four_files_and_keeps_the_page_private(comparison, pairs, tmp_path):
    save(comparison(), tmp_path / "out", pairs)
    found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    assert set(found) == {"report.html", "report.md", "results.json", "details.json"}
    assert found["report.html"] == 0o600


def test_results_are_in_the_schema_of_clip_benchmark(comparison):
    found = comparison(seeds=2)
    records = to_benchmark(found)
    assert len(records) == 2 * len(found.runs)
    names = {"dataset", "model", "pretrained", "task", "metrics", "language"}
    assert all(set(record) == names and record["task"] == "zeroshot_retrieval" for record in records)
    assert (
        records[0]["metrics"]["image_retrieval_recall@10"]
        == found.runs[0].epochs[-1].metrics["image_retrieval_recall@10"]
    )


def test_details_hold_everything(comparison):
    found = json.loads(to_json(to_dict(comparison(seeds=2))))
    assert found["headline"].startswith("An attacker who crops")
    assert found["weakest"]["arm"] == "strong-augmentation" and found["refusal"] == ""
    assert len(found["runs"]) == 44 and len(found["runs"][0]["epochs"]) == 5
    share = next(row for row in found["retained_gain"] if row["arm"] == "jpeg-75" and row["attacker"] == "tiny-vit")
    assert share["best"] == share["last"] == pytest.approx(0.19) and share["best, of its control"] is None
    assert {row["percent"] for row in found["learnability"]} == {50, 100}
    assert found["arms"][0]["shards"] and found["settings"]["seeds"] == 2 and found["cheap"]["probe"] == 0.97


def test_what_is_no_number_is_null(comparison):
    found = comparison()
    equal = replace(found, cheap=replace(found.cheap, psnr=math.inf, probe=math.nan))
    cheap = json.loads(to_json(to_dict(equal)), parse_constant=pytest.fail)["cheap"]
    assert cheap["psnr"] is None and cheap["probe"] is None and cheap["ssim"] == 0.93


# In a browser


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the PATH")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_within_its_width(html, tmp_path, width):
    """The page in a frame of that width: what stands beyond its right edge would show on the ground around."""
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    frame = f'<iframe src="report.html" style="width:{width}px;height:900px;border:0"></iframe>'
    (tmp_path / "frame.html").write_text(f'<body style="margin:0;background:#f0f">{frame}', encoding="utf-8")
    shot = tmp_path / "shot.png"
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'own'}",
    )
    window = (f"--window-size={width + 200},900", f"--screenshot={shot}", (tmp_path / "frame.html").as_uri())
    subprocess.run([BROWSER, *options, *window], check=True, capture_output=True, timeout=600)
    pixels = np.asarray(Image.open(shot).convert("RGB"))[:900, :width]
    grounds = {tuple(pixel) for pixel in pixels[:, [0, width - 1]].reshape(-1, 3)}
    assert len(grounds) == 1 and (255, 0, 255) not in grounds  # the page's own margin on both sides, all the way
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
