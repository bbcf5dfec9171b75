"""The HTTP front end of the local host: routes, keys, bodies, admin endpoints."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from local.azurite import Azurite
from local.host import FunctionsHost
from tests.functions.apps import QUICK, SampleApp, eventually

SOURCE = """
import json
from http.cookies import SimpleCookie

ANONYMOUS = func.AuthLevel.ANONYMOUS

@app.route(route="echo", auth_level=ANONYMOUS)
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.get_body(), mimetype="application/octet-stream", headers={"X-Method": req.method})

@app.route(route="items/{id:int}/{part?}", methods=["GET"], auth_level=ANONYMOUS)
def item(req: func.HttpRequest) -> str:
    return json.dumps([dict(req.route_params), dict(req.params)])

@app.route(route="items/newest", auth_level=ANONYMOUS)
def newest(req: func.HttpRequest) -> str:
    return "newest"

@app.route(route="rest/{*path}", auth_level=ANONYMOUS)
async def rest(req: func.HttpRequest) -> str:
    return req.route_params["path"] + " " + req.url

@app.route(route="keyed")
def keyed(req: func.HttpRequest) -> str:
    return "in"

@app.route(route="master", auth_level=func.AuthLevel.ADMIN)
def master(req: func.HttpRequest) -> str:
    return "in"

@app.route(route="fails", auth_level=ANONYMOUS)
def fails(req: func.HttpRequest) -> str:
    raise ValueError("secret detail")

@app.route(route="cookies", auth_level=ANONYMOUS)
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("", status_code=201, headers={"Set-Cookie": "a=1; Path=/"})

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def yearly(timer: func.TimerRequest) -> None:
    record("yearly")

@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    record("work " + message.get_body().decode())

@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def switched_off(timer: func.TimerRequest) -> None:
    record("switched off")
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, azurite: Azurite) -> SampleApp:
    app = SampleApp(Path(tmp_path_factory.mktemp("http")), azurite, SOURCE, QUICK)
    app.environment["AzureWebJobs.switched_off.Disabled"] = "true"
    return app


@pytest.fixture(scope="module")
def host(app: SampleApp) -> Iterator[FunctionsHost]:
    with app.host() as running:
        yield running


@pytest.fixture(scope="module")
def http(host: FunctionsHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=host.base_url, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff\r\n\x80", "grün".encode(), bytes(3_000_000)], ids=["empty", "binary", "text", "3 MB"]
)
def test_a_body_comes_in_and_goes_out_as_it_is(http: httpx.Client, body: bytes) -> None:
    reply = http.post("/api/echo", content=body)
    assert (reply.status_code, reply.content) == (200, body)
    assert reply.headers["content-type"] == "application/octet-stream"


def test_a_chunked_body_comes_in_whole(http: httpx.Client) -> None:
    assert http.post("/api/echo", content=iter([b"one ", b"two"])).content == b"one two"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_route_without_methods_takes_every_method(http: httpx.Client, method: str) -> None:
    assert http.request(method, "/api/echo").headers["x-method"] == method


def test_the_reply_to_head_has_no_body(http: httpx.Client) -> None:
    reply = http.head("/api/echo")
    assert (reply.status_code, reply.content) == (200, b"")


def test_route_parameters_and_query_reach_the_function(http: httpx.Client) -> None:
    assert http.get("/api/items/7/a%20b?x=1&y=").json() == [{"id": "7", "part": "a b"}, {"x": "1", "y": ""}]
    assert http.get("/api/ITEMS/7").json() == [{"id": "7"}, {}]


def test_a_literal_route_wins_over_a_parameter(http: httpx.Client) -> None:
    assert http.get("/api/items/newest").text == "newest"


def test_a_catch_all_takes_the_rest_of_the_path_and_sees_the_whole_url(http: httpx.Client, host: FunctionsHost) -> None:
    assert http.get("/api/rest/a/b%2Fc?d=e").text == f"a/b/c {host.base_url}/api/rest/a/b%2Fc?d=e"


@pytest.mark.parametrize("path", ["/api/nothing", "/other", "/api/items/word", "/api/items/1/2/3", "/apiecho"])
def test_what_no_route_covers_is_not_found(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 404


def test_a_method_that_the_route_does_not_take_is_not_found(http: httpx.Client) -> None:
    assert http.post("/api/items/7").status_code == 404


def test_a_function_that_raises_gives_500_and_reveals_nothing(http: httpx.Client) -> None:
    reply = http.get("/api/fails")
    assert (reply.status_code, reply.content) == (500, b"")


def test_cookies_and_status_of_the_function_arrive(http: httpx.Client) -> None:
    reply = http.get("/api/cookies")
    assert reply.status_code == 201
    assert reply.headers["set-cookie"] == "a=1; Path=/"


def test_without_its_key_a_function_is_closed(http: httpx.Client) -> None:
    assert http.get("/api/keyed").status_code == 401
    assert http.get("/api/keyed", headers={"x-functions-key": "wrong"}).status_code == 401
    assert http.get("/api/keyed?code=").status_code == 401


def test_the_function_key_opens_in_header_and_query(http: httpx.Client, host: FunctionsHost) -> None:
    assert http.get("/api/keyed", headers={"x-functions-key": host.key}).text == "in"
    assert http.get("/api/keyed", params={"code": host.key}).text == "in"
    assert http.get("/api/keyed", params={"code": host.master_key}).text == "in"


def test_level_admin_takes_the_master_key_only(http: httpx.Client, host: FunctionsHost) -> None:
    assert http.get("/api/master", headers={"x-functions-key": host.key}).status_code == 401
    assert http.get("/api/master", headers={"x-functions-key": host.master_key}).text == "in"


def test_the_master_key_runs_a_timer_or_a_queue_function_at_once(
    http: httpx.Client, host: FunctionsHost, app: SampleApp
) -> None:
    master = {"x-functions-key": host.master_key}
    assert http.post("/admin/functions/yearly", json={}, headers=master).status_code == 202
    assert http.post("/admin/functions/work", json={"input": "now"}, headers=master).status_code == 202
    eventually(lambda: sorted(app.records()) == ["work now", "yearly"])


def test_the_admin_endpoints_list_the_functions_and_are_closed_to_everybody_else(
    http: httpx.Client, host: FunctionsHost
) -> None:
    assert http.get("/admin/functions").status_code == 401
    assert http.post("/admin/functions/yearly", json={}, headers={"x-functions-key": host.key}).status_code == 401
    listed = http.get("/admin/functions", headers={"x-functions-key": host.master_key}).json()
    assert {"yearly", "work", "keyed"} <= {function["name"] for function in listed}
    assert http.post("/admin/functions/nobody", json={}, headers={"x-functions-key": host.master_key}).status_code == 404
    assert http.post("/admin/functions/echo", json={}, headers={"x-functions-key": host.master_key}).status_code == 400


def test_the_keys_are_still_the_same_after_a_restart_of_the_host(host: FunctionsHost, app: SampleApp) -> None:
    from azure.storage.blob import BlobServiceClient

    from local.host.keys import stored_keys

    with BlobServiceClient.from_connection_string(app.environment["AzureWebJobsStorage"]) as blobs:
        again = stored_keys(blobs, host.host_id)
    assert (again.function, again.master) == (host.key, host.master_key)


def test_a_body_over_the_limit_is_refused_before_it_is_read(host: FunctionsHost) -> None:
    connection = HTTPConnection(urlsplit(host.base_url).netloc, timeout=60)
    connection.putrequest("POST", "/api/echo")
    connection.putheader("Content-Length", str(101 * 1024 * 1024))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_function_that_is_switched_off_does_not_run(app: SampleApp, http: httpx.Client) -> None:
    assert http.get("/").json() == {"state": "running"}
    assert "switched off" not in app.records()
