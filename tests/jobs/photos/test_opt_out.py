"""Opt-out files: each in its own form, and honest about their worth."""

import json
import urllib.robotparser

import pytest

from protect.jobs.photos.opt_out import CRAWLERS, FOLDER, HEADERS, WORTH, web_files, write_web


def test_all_are_written_and_named_in_the_readme(tmp_path):
    paths = write_web(tmp_path)
    assert sorted(path.name for path in paths) == sorted(p.name for p in (tmp_path / FOLDER).iterdir())
    readme = (tmp_path / FOLDER / "README.txt").read_text()
    assert all(path.name in readme for path in paths if path.name != "README.txt")
    assert " ".join(readme.split()).count(WORTH) == 1
    assert max(map(len, readme.splitlines())) <= 118


def test_twice_is_the_same(tmp_path):
    first = {path.name: path.read_bytes() for path in write_web(tmp_path)}
    assert {path.name: path.read_bytes() for path in write_web(tmp_path)} == first


def test_worth_is_one_sentence_that_says_what_it_does_not_do():
    assert WORTH.count(". ") == 0 and "nothing in them stops" in WORTH


def test_tdmrep():
    assert json.loads(web_files()["tdmrep.json"]) == [{"location": "/", "tdm-reservation": 1}]


@pytest.mark.parametrize("crawler", CRAWLERS)
def test_robots_names_the_crawler(crawler):
    robots = urllib.robotparser.RobotFileParser()
    robots.parse(web_files()["robots.txt"].splitlines())
    assert not robots.can_fetch(crawler, "/photos/a.jpg")


@pytest.mark.parametrize("engine", ["Googlebot", "bingbot", "DuckDuckBot", "Applebot"])
def test_search_engines_go_on(engine):
    robots = urllib.robotparser.RobotFileParser()
    robots.parse(web_files()["robots.txt"].splitlines())
    assert robots.can_fetch(engine, "/photos/a.jpg")


@pytest.mark.parametrize("name", ["nginx.conf", "htaccess.txt", "netlify-headers.txt"])
def test_every_header_is_in_every_server_file(name):
    text = web_files()[name]
    for header, value in HEADERS:
        assert sum(header in line and value in line for line in text.splitlines()) == 1


def test_nginx_keeps_them_on_error_pages():
    lines = web_files()["nginx.conf"].splitlines()
    assert all(line.startswith("add_header ") and line.endswith(" always;") for line in lines)
