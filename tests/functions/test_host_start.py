"""What keeps the local host from starting, in words; and the program `python -m local.host`."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from local.azurite import Azurite
from local.host import HostError
from tests.functions.apps import SampleApp, eventually
from tests.functions.conftest import MakeApp

ROOT = Path(__file__).parents[2]
NOTHING = """
@app.route(route="nothing", auth_level=func.AuthLevel.ANONYMOUS)
def nothing(req: func.HttpRequest) -> str:
    return os.environ.get("COLOUR", "none")
"""


def refusal(app: SampleApp, **options: object) -> str:
    with pytest.raises(HostError) as refused, app.host(**options):
        pass
    return str(refused.value)


def test_what_the_real_worker_refuses_is_refused_here_in_its_own_words(sample_app: MakeApp) -> None:
    source = """
    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    @app.queue_output(arg_name="out", queue_name="out", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage, out: func.Out[list[str]]) -> None: ...
    """
    message = refusal(sample_app(source))
    assert "does not load" in message
    assert "cannot load the work function" in message


def test_an_app_that_does_not_import_says_why(sample_app: MakeApp) -> None:
    assert "No module named 'nowhere'" in refusal(sample_app("import nowhere"))


def test_an_app_without_functions_is_refused(sample_app: MakeApp) -> None:
    assert "There is no function" in refusal(sample_app(""))


def test_a_trigger_that_only_azure_has_is_refused(sample_app: MakeApp) -> None:
    source = """
    @app.blob_trigger(arg_name="blob", path="in/{name}", connection="AzureWebJobsStorage")
    def work(blob: func.InputStream) -> None: ...
    """
    assert "blobTrigger" in refusal(sample_app(source))


def test_a_schedule_that_is_none_is_refused_by_the_name_of_its_function(sample_app: MakeApp) -> None:
    source = """
    @app.timer_trigger(arg_name="timer", schedule="61 * * * * *")
    def tick(timer: func.TimerRequest) -> None: ...
    """
    assert "Function tick" in refusal(sample_app(source))


def test_a_missing_storage_setting_is_named(sample_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)
    app = sample_app(NOTHING)
    del app.environment["AzureWebJobsStorage"]
    assert "AzureWebJobsStorage is missing" in refusal(app)


def test_a_missing_setting_of_a_binding_is_named(sample_app: MakeApp) -> None:
    source = """
    @app.queue_trigger(arg_name="message", queue_name="%NOWHERE%", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage) -> None: ...
    """
    assert "The setting NOWHERE is missing" in refusal(sample_app(source))


def test_a_storage_account_that_does_not_answer_is_named(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    app.environment["AzureWebJobsStorage"] = (
        "AccountName=a;AccountKey=YQ==;QueueEndpoint=http://127.0.0.1:9/a;BlobEndpoint=http://127.0.0.1:9/a"
    )
    message = refusal(app)
    assert "http://127.0.0.1:9/a" in message
    assert "Start Azurite" in message


def test_a_port_in_use_is_named(sample_app: MakeApp) -> None:
    from local.host import FunctionsHost

    app = sample_app(NOTHING)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(HostError, match=f"Port {port} cannot be used"),
            FunctionsHost(app.directory, app.environment, port=port),
        ):
            pass


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"extensions": {"queues": {"batchSize": 33}}}, "batchSize is 33"),
        ({"extensions": {"queues": {"visibilityTimeout": "30"}}}, "visibilityTimeout is '30'"),
        ({"extensions": {"queues": {"messageEncoding": "utf"}}}, "base64 or none"),
        ({"version": "1.0"}, '"version" must be "2.0"'),
    ],
)
def test_an_option_of_host_json_that_is_wrong_is_named(sample_app: MakeApp, options: dict[str, object], words: str) -> None:
    app = sample_app(NOTHING)
    (app.directory / "host.json").write_text(json.dumps({"version": "2.0", **options}))
    assert words in refusal(app)


def test_a_directory_without_host_json_is_no_app(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    (app.directory / "host.json").unlink()
    assert "host.json is missing" in refusal(app)


def test_a_setting_replaces_an_option_of_host_json(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    app.environment["AzureFunctionsJobHost__extensions__http__routePrefix"] = "v1"
    with app.host() as host:
        assert httpx.get(f"{host.base_url}/v1/nothing", timeout=60).status_code == 200


def test_local_settings_reach_the_app_and_the_environment_wins(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    content = {"IsEncrypted": False, "Values": {"COLOUR": "red"}, "Explanations": {"COLOUR": "any"}}
    settings = app.directory / "local.settings.json"
    settings.write_text(json.dumps(content))
    with app.host(settings=settings) as host:
        assert httpx.get(f"{host.base_url}/api/nothing", timeout=60).text == "red"
    app.environment["COLOUR"] = "blue"
    with app.host(settings=settings) as host:
        assert httpx.get(f"{host.base_url}/api/nothing", timeout=60).text == "blue"
    assert "COLOUR" not in os.environ


def test_encrypted_local_settings_are_refused_with_the_remedy(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    settings = app.directory / "local.settings.json"
    settings.write_text('{"IsEncrypted": true}')
    assert "func settings decrypt" in refusal(app, settings=settings)


def test_a_host_in_this_process_reads_no_settings_that_it_was_not_given(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    (app.directory / "local.settings.json").write_text('{"Values": {"AzureWebJobs.nothing.Disabled": "true"}')
    with app.host() as host:
        assert httpx.get(f"{host.base_url}/api/nothing", timeout=60).text == "none"


def test_a_second_host_in_one_process_is_refused(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    with app.host():
        assert "one" in refusal(app)


def program(app_dir: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "local.host", "--app", str(app_dir), "--port", "0", *arguments],
        env=environment,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_the_program_announces_itself_serves_and_ends_cleanly_on_sigterm(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    with program(app.directory, {**os.environ, **app.environment}, "--json") as process:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        assert httpx.get(f"{announced['base_url']}/api/nothing", timeout=60).text == "none"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


@pytest.mark.parametrize(
    ("arguments", "colour"), [((), "red"), (("--settings", "{app}/other.json"), "green"), (("--no-settings",), "none")]
)
def test_the_program_reads_the_settings_of_its_app_or_the_named_ones_or_none(
    sample_app: MakeApp, arguments: tuple[str, ...], colour: str
) -> None:
    app = sample_app(NOTHING)
    (app.directory / "local.settings.json").write_text('{"Values": {"COLOUR": "red"}}')
    (app.directory / "other.json").write_text('{"Values": {"COLOUR": "green"}}')
    options = [each.format(app=app.directory) for each in arguments]
    with program(app.directory, {**os.environ, **app.environment}, "--json", *options) as process:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        assert httpx.get(f"{announced['base_url']}/api/nothing", timeout=60).text == colour
        process.terminate()
        process.communicate(timeout=60)


def test_named_settings_that_are_not_there_are_told(sample_app: MakeApp) -> None:
    app = sample_app(NOTHING)
    with program(app.directory, {**os.environ, **app.environment}, "--settings", "nowhere.json") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nowhere.json cannot be read" in errors


def test_the_program_ends_after_its_grace_period_although_a_function_still_runs(sample_app: MakeApp) -> None:
    source = """
    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage) -> None:
        record("begin")
        time.sleep(60)
    """
    app = sample_app(source)
    app.send("x")
    with program(app.directory, {**os.environ, **app.environment}, "--json", "--grace", "0.5") as process:
        eventually(lambda: app.records())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert app.stored() == ["x"]


def test_the_program_says_in_one_message_which_setting_of_sidesync_is_missing(azurite: Azurite) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SIDESYNC_SECRETS", "AzureWebJobs"))
    }
    environment["AzureWebJobsStorage"] = azurite.connection_string
    environment["SIDESYNC_SECRETS_KEY"] = ""
    with program(ROOT, environment, "--no-settings") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "The setting SIDESYNC_SECRETS_KEY is missing" in errors
    assert "Traceback" not in errors
