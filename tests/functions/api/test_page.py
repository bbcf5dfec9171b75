"""The page of the API: its own files only, under a strict policy, and without a key."""

import re

from functions.api.application import create_page
from functions.api.routers.page import _FILES
from tests.functions.api.over_memory import Api, client_of


def test_the_page_and_its_parts_are_served_under_a_strict_policy(api: Api) -> None:
    for path, media_type in (("", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        answer = api.get(f"/docs{path}")

        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == f"{media_type}; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_nothing_of_the_page_comes_from_elsewhere_or_stands_inline() -> None:
    texts = {file.name: file.read_text() for file in _FILES.iterdir()}

    assert texts.keys() == {"page.html", "page.css", "page.js"}
    assert not any(re.search(r"https?:|//[a-z]|@import|url\(", text.replace("// ", "")) for text in texts.values())
    assert not re.search(r"<script>|<style|\son[a-z]+=|style=", texts["page.html"])
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", texts["page.js"])


def test_what_is_served_without_a_key_is_the_page_and_nothing_else() -> None:
    with client_of(create_page()) as client:
        assert client.get("/api/docs").status_code == client.get("/api/docs/page.js").status_code == 200
        for path in ("/api/openapi.json", "/api/health", "/api/settings", "/api/docs/..%2Fsettings", "/api/docs/../settings"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_no_other_file_is_served(api: Api) -> None:
    for path in ("/application.py", "/page.html/", "/..%2Faccess.py", "/%2e%2e/access.py"):
        assert api.get(f"/docs{path}").status_code == 404
