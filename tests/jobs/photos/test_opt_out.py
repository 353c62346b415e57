"""Opt-out files: each in its own form, and honest about their worth."""

import json
import shutil
import subprocess
import urllib.robotparser
from pathlib import Path

import pytest

from protect.data.metadata.xmp import PROHIBITED, is_opted_out, read_xmp
from protect.jobs.photos.opt_out import (
    CRAWLERS,
    FOLDER,
    HEADERS,
    LISTED,
    SIDECARS,
    SOURCE,
    WORTH,
    web_files,
    write_web,
)

APACHE = (Path("/usr/lib/apache2/modules"), Path("/usr/libexec/apache2"))


def test_all_are_written_and_named_in_the_readme(tmp_path):
    paths = write_web(tmp_path)
    assert sorted(path.name for path in paths) == sorted(p.name for p in (tmp_path / FOLDER).iterdir())
    readme = (tmp_path / FOLDER / "README.txt").read_text()
    assert all(path.name in readme for path in paths if path.name != "README.txt")
    assert " ".join(readme.split()).count(WORTH) == 1
    assert max(map(len, readme.splitlines())) <= 118


def test_twice_is_the_same(tmp_path):
    first = {path.name: path.read_bytes() for path in write_web(tmp_path, ["a.jpg"])}
    assert {path.name: path.read_bytes() for path in write_web(tmp_path, ["a.jpg"])} == first


def test_every_photo_has_a_sidecar_that_exiftool_reads(tmp_path):
    names = ["a.jpg", "a.png", "trip/b.heic", "x" * 251 + ".jpg"]
    folder = tmp_path / FOLDER / SIDECARS
    written = [path for path in write_web(tmp_path, names) if path.suffix == ".xmp"]
    assert written == [folder / f"{name}.xmp" for name in names[:3]]
    for path in written:
        assert is_opted_out(path.read_bytes()) and read_xmp(path.read_bytes()) == {}
        told = run("exiftool", "-s3", "-XMP-plus:DataMining", "-XMP-dc:all", path)
        assert told.strip() in (PROHIBITED, "Prohibited for AI/ML training")  # versions before 12.67 show the address


def test_the_command_writes_them(command, tmp_path, photo_bytes):
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.jpg").write_bytes(photo_bytes())
    (source / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert command("photos", source, tmp_path / "out", "--seed", "7", "-q", "--emit-web").code == 1
    assert [path.name for path in (tmp_path / "out" / FOLDER / SIDECARS).iterdir()] == ["a.jpg.xmp"]


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


def test_signals_stand_in_the_group_of_all_crawlers():
    groups = web_files()["robots.txt"].split("\n\n")
    (of_all,) = [group for group in groups if "User-agent: *" in group.splitlines()]
    assert "Content-Signal: ai-train=no" in of_all and "Content-Usage: train-ai=n" in of_all
    assert LISTED in groups[0] and SOURCE in groups[0]


def run(*command):
    found = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin")
    if found is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([found, *map(str, command[1:])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nginx_reads_its_file(tmp_path):
    server = f"server {{ listen 127.0.0.1:8099; {web_files()['nginx.conf']} }}"
    paths = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off;\n{paths}{server} }}\n"
    )
    run("nginx", "-t", "-q", "-e", tmp_path / "errors", "-c", tmp_path / "nginx.conf")


def test_apache_reads_its_file(tmp_path):
    modules = next((path for path in APACHE if path.is_dir()), None)
    if modules is None:
        pytest.skip("apache2 is not installed")
    load = "".join(
        f"LoadModule {name}_module {modules}/mod_{name}.so\n"
        for name in ("mpm_event", "authz_core", "headers")
        if (modules / f"mod_{name}.so").exists()
    )
    (tmp_path / "a.conf").write_text(
        f"{load}ServerName x\nServerRoot {tmp_path}\nErrorLog {tmp_path}/log\nListen 127.0.0.1:8099\n"
        f"PidFile {tmp_path}/pid\n<Directory {tmp_path}>\n{web_files()['htaccess.txt']}</Directory>\n"
    )
    run("apache2", "-t", "-f", tmp_path / "a.conf")


def test_caddy_reads_its_file(tmp_path):
    (tmp_path / "Caddyfile").write_text(f":8099 {{\n{web_files()['Caddyfile.txt']}}}\n")
    run("caddy", "validate", "--adapter", "caddyfile", "--config", tmp_path / "Caddyfile")


def test_php_reads_the_plugin(tmp_path):
    (tmp_path / "plugin.php").write_text(web_files()["wordpress.php"])
    run("php", "-l", tmp_path / "plugin.php")


def test_wordpress_sends_every_header_and_serves_every_line_of_robots():
    text = web_files()["wordpress.php"]
    assert all(f"header('{header}: {value}');" in text for header, value in HEADERS)
    assert all(repr(line) in text for line in web_files()["robots.txt"].splitlines())


@pytest.mark.parametrize("name", ["nginx.conf", "htaccess.txt", "netlify-headers.txt", "Caddyfile.txt"])
def test_every_header_is_in_every_server_file(name):
    text = web_files()[name]
    for header, value in HEADERS:
        assert sum(header in line and value in line for line in text.splitlines()) == 1


def test_nginx_keeps_them_on_error_pages():
    lines = web_files()["nginx.conf"].splitlines()
    assert all(line.startswith("add_header ") and line.endswith(" always;") for line in lines)
