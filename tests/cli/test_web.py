"""`protect web` from the command line: what it prints, how it ends, what it refuses."""

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

PROTECT = (sys.executable, "-c", "from protect.cli import main; main()")


@pytest.fixture
def started(tmp_path):
    """A server in a process of its own, and its address."""
    command = (*PROTECT, "web", str(tmp_path / "out"), "--no-browser")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().strip()
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_leaves_no_upload(started, tmp_path, end):
    process, address = started
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as answer:
        assert b"Protect photos" in answer.read()
    uploads = tmp_path / "out/_protect/private/uploads"
    assert uploads.exists()
    process.send_signal(end)
    assert process.wait(timeout=60) == (0 if end == signal.SIGINT else -signal.SIGTERM)
    assert not uploads.exists()


def test_it_listens_on_this_machine_alone(started):
    _, address = started
    port = int(address.split(":")[2].split("/")[0])
    addresses = {about[4][0] for about in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for other in addresses - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError), socket.create_connection((other, port), timeout=2):
            pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--port", "70000"), "port: expected 1 to 65535"),
        (("--max-files", "0"), "max_files: expected a number above 0"),
        (("--strength", "huge"), "'huge' is not one of"),
    ],
)
def test_mistakes_end_with_2_and_one_line(command, tmp_path, arguments, message):
    ran = command("web", tmp_path / "out", "--no-browser", *arguments)
    assert ran.code == 2 and message in ran.err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_port_that_is_taken_is_said(command, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = command("web", tmp_path / "out", "--no-browser", "--port", port)
    assert ran.code == 2 and "in use" in ran.err


def test_an_out_in_use_is_said(command, tmp_path, started):
    ran = command("web", tmp_path / "out", "--no-browser")
    assert ran.code == 2 and "another `protect web` uses it" in ran.err


def test_without_the_extra_the_cure_is_said(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "protect.jobs.web.server", raising=False)
    ran = command("web", tmp_path / "out", "--no-browser")
    assert ran.code == 2 and "the page: expected" in ran.err and "pip install 'anyio" in ran.err
