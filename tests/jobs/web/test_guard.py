"""Who may talk to the page."""

import pytest

GOOD = {"host": "127.0.0.1:8123", "origin": "http://127.0.0.1:8123"}


def answer(page, method="GET", path="/a-token/state", **headers):
    given = {name.replace("_", "-"): value for name, value in (GOOD | headers).items()}
    request = page.client.build_request(method, path, headers={k: v for k, v in given.items() if v is not None})
    if headers.get("origin", "") is None:
        del request.headers["origin"]
    return page.client.send(request)


def test_the_page_itself_is_let_through(serve):
    assert answer(serve()).status_code == 200
    assert answer(serve(), host="localhost:8123", origin="http://localhost:8123").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8123", ""])
def test_another_host_name_is_refused(serve, host):
    assert answer(serve(), host=host, origin=f"http://{host}").status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9", "https://127.0.0.1:8123"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_is_refused(serve, origin, method):
    assert answer(serve(), method, "/a-token/stop", origin=origin).status_code == 403


def test_changes_need_an_origin_and_reading_does_not(serve):
    page = serve()
    assert answer(page, origin=None).status_code == 200
    assert answer(page, "POST", "/a-token/stop", origin=None).status_code == 403


def test_a_request_from_another_site_is_refused_by_what_the_browser_says(serve):
    assert answer(serve(), origin=None, sec_fetch_site="cross-site").status_code == 403


@pytest.mark.parametrize("path", ["/", "/state", "/wrong/state", "/a-token2/state", "/%61-toke/state", "//a-token/"])
def test_without_the_token_there_is_nothing(serve, path):
    found = answer(serve(), path=path)
    assert found.status_code == 404 and "state" not in found.text


def test_every_answer_carries_the_policy(serve):
    page = serve()
    for path in ("/a-token/", "/a-token/state", "/nowhere", "/a-token/web.js"):
        headers = answer(page, path=path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer" and "access-control-allow-origin" not in headers


def test_what_is_served_names_no_other_place(serve):
    page = serve()
    for path in ("", "web.css", "web.js", "gallery.css", "shared.js"):
        found = page.ask("GET", path)
        assert found.status_code == 200 and "http:" not in found.text and "https:" not in found.text, path
