"""The API as commands see it: what servers answer, and what becomes of it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from admin.connection import Api, open_client
from admin.failures import Failure, Gone, NotReachable, Refused, WrongUsage

PROBLEM = {
    "detail": "#/name: is missing",
    "code": "invalid_request",
    "remedy": "Add it.",
    "errors": [{"pointer": "#/name", "detail": "is missing", "remedy": "Add it."}],
}


def answering(answer: Callable[[httpx.Request], httpx.Response], waits: list[float] | None = None) -> Api:
    client = httpx.Client(base_url="https://sidesync.example", transport=httpx.MockTransport(answer))
    return Api(client, (waits if waits is not None else []).append)


def failing(response: httpx.Response) -> Failure:
    with pytest.raises(Failure) as caught:
        answering(lambda _: response).get("/api/x")
    return caught.value


def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    waits: list[float] = []
    answers = iter([httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(200, json={"status": "ok"})])

    assert answering(lambda _: next(answers), waits).get("/api/health") == {"status": "ok"}
    assert waits == [7.0]


def test_a_server_that_stays_busy_is_given_up() -> None:
    asked: list[str] = []

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503, json=PROBLEM, headers={"Retry-After": "soon"})

    with pytest.raises(Refused):
        answering(busy).get("/api/x")
    assert len(asked) == 4


def test_a_problem_names_each_field_and_its_remedy() -> None:
    failure = failing(httpx.Response(422, json=PROBLEM))

    assert isinstance(failure, Refused)
    assert [(each.pointer, each.detail, each.remedy) for each in failure.errors] == [("#/name", "is missing", "Add it.")]
    assert failure.exit_code == 1


@pytest.mark.parametrize(
    ("response", "kind", "told"),
    [
        (httpx.Response(401), Refused, "function key"),
        (httpx.Response(404, json=PROBLEM), Gone, "is missing"),
        (httpx.Response(404, text="Not Found"), NotReachable, "no Sidesync"),
        (httpx.Response(502, text="<html>"), NotReachable, "no Sidesync"),
        (httpx.Response(200, text="<html>"), NotReachable, "no Sidesync"),
        (httpx.Response(500, json=["unexpected"]), NotReachable, "no Sidesync"),
    ],
)
def test_other_answers_are_told_apart(response: httpx.Response, kind: type[Failure], told: str) -> None:
    failure = failing(response)

    assert type(failure) is kind
    assert told in failure.detail


def test_a_list_is_read_part_by_part_and_no_further_than_asked_for() -> None:
    parts = {None: {"items": [1, 2], "continuation": "b"}, "b": {"items": [3, 4], "continuation": None}}
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("continuation"))
        return httpx.Response(200, json=parts[asked[-1]])

    api = answering(answer)
    entries: list[Any] = list(api.entries("/api/x"))
    first: list[Any] = list(api.entries("/api/x", 2))

    assert (entries, first, asked) == ([1, 2, 3, 4], [1, 2], [None, "b", None])


@pytest.mark.parametrize("url", ["https://sidesync.example", "https://sidesync.example/", "https://sidesync.example/api/"])
def test_the_address_may_end_in_any_of_these(url: str) -> None:
    with open_client(url, "the key") as client:
        request = client.build_request("GET", "/api/health")

    assert str(request.url) == "https://sidesync.example/api/health"
    assert request.headers["x-functions-key"] == "the key"


def test_a_key_never_travels_unencrypted_but_on_this_machine() -> None:
    with pytest.raises(WrongUsage):
        open_client("http://sidesync.example", "the key")
    open_client("http://127.0.0.1:7071", "the key").close()
