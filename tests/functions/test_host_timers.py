"""The timer listener of the local host against Azurite."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from tests.functions.apps import SampleApp, eventually
from tests.functions.conftest import MakeApp

EVERY_SECOND = """
@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    record(f"{int(time.time())} {timer.past_due}")
"""
HOURLY = EVERY_SECOND.replace("*/1 * * * * *", "0 0 * * * *")
ROOT = Path(__file__).parents[2]


def with_host_id(app: SampleApp) -> SampleApp:
    app.environment["AzureFunctionsWebHost__hostid"] = app.queue_name
    return app


def status_blob(app: SampleApp, content: dict[str, str] | None = None) -> dict[str, str]:
    """The timer's stored status, after replacing it by `content`."""
    with BlobServiceClient.from_connection_string(app.environment["AzureWebJobsStorage"]) as blobs:
        name = f"timers/{app.queue_name}/Host.Functions.tick/status"
        blob = blobs.get_blob_client("azure-webjobs-hosts", name)
        if content is not None:
            blob.upload_blob(json.dumps(content).encode(), overwrite=True)
        stored: dict[str, str] = json.loads(blob.download_blob().readall())
        return stored


def test_a_timer_fires_at_each_occurrence_of_its_schedule(sample_app: MakeApp) -> None:
    app = sample_app(EVERY_SECOND)
    with app.host():
        eventually(lambda: len(app.records()) >= 3)
    seconds = [int(line.split()[0]) for line in app.records()]
    assert len(seconds) == len(set(seconds))
    assert seconds[-1] - seconds[0] <= len(seconds)  # a busy machine may miss one
    assert {line.split()[1] for line in app.records()} == {"False"}


def test_the_status_tells_the_last_and_the_next_occurrence(sample_app: MakeApp) -> None:
    app = with_host_id(sample_app(EVERY_SECOND))
    with app.host():
        eventually(lambda: app.records())
    status = {name: datetime.fromisoformat(value) for name, value in status_blob(app).items()}
    assert status["Next"] - status["Last"] == timedelta(seconds=1)
    assert int(status["Last"].timestamp()) == int(app.records()[-1].split()[0])


def test_after_a_downtime_there_is_one_run_that_is_past_due_however_many_were_missed(sample_app: MakeApp) -> None:
    app = with_host_id(sample_app(HOURLY))
    with app.host():
        time.sleep(0.3)
    assert app.records() == []
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    missed = {"Last": hour - timedelta(hours=5), "Next": hour - timedelta(hours=4), "LastUpdated": hour - timedelta(hours=5)}
    status_blob(app, {name: moment.isoformat() for name, moment in missed.items()})
    with app.host():
        eventually(lambda: app.records())
        time.sleep(0.3)
    assert [line.split()[1] for line in app.records()] == ["True"]
    assert datetime.fromisoformat(status_blob(app)["Next"]) > datetime.now(UTC) - timedelta(seconds=5)


def test_a_schedule_that_was_changed_has_missed_nothing(sample_app: MakeApp) -> None:
    app = with_host_id(sample_app(HOURLY))
    with app.host():
        time.sleep(0.3)
    day = datetime.now(UTC) - timedelta(days=1)
    other = {"Last": day, "Next": day + timedelta(minutes=7), "LastUpdated": day}
    status_blob(app, {name: moment.isoformat() for name, moment in other.items()})
    with app.host():
        time.sleep(0.5)
    assert app.records() == []


def test_a_run_that_fails_does_not_end_the_schedule(sample_app: MakeApp) -> None:
    app = sample_app(EVERY_SECOND + "    raise ValueError('refused')\n")
    with app.host():
        eventually(lambda: len(app.records()) >= 2)


def test_a_run_that_takes_longer_than_the_interval_is_never_joined_by_another(sample_app: MakeApp) -> None:
    source = """
    @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
    def tick(timer: func.TimerRequest) -> None:
        record("begin")
        time.sleep(1.3)
        record("end")
    """
    app = sample_app(source)
    with app.host():
        eventually(lambda: len(app.records()) >= 4)
    assert app.records() == ["begin", "end"] * (len(app.records()) // 2)


def test_of_two_hosts_of_one_id_only_one_fires(sample_app: MakeApp) -> None:
    app = with_host_id(sample_app(EVERY_SECOND))
    with app.host():
        eventually(lambda: app.records())
        with subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "local.host", "--app", str(app.directory), "--port", "0", "--json"],
            env={**os.environ, **app.environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as other:
            assert other.stdout is not None
            assert json.loads(other.stdout.readline())["functions"] == ["tick"]
            time.sleep(2.5)
            other.terminate()
            assert other.wait(10) == 0
    seconds = [line.split()[0] for line in app.records()]
    assert len(seconds) == len(set(seconds))
