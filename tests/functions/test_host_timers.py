"""The timer listener of the local host against Azurite."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from azure.storage.blob import BlobClient, BlobServiceClient

from tests.functions.apps import SampleApp, eventually
from tests.functions.conftest import MakeApp

EVERY_SECOND = """
@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    record(f"{int(time.time())} {timer.past_due}")
"""
ROOT = Path(__file__).parents[2]


def daily(hour: datetime) -> str:
    return EVERY_SECOND.replace("*/1 * * * * *", f"0 0 {hour.hour} * * *")


def twelve_hours_ago() -> datetime:
    """A full hour: what fires then does not while a test runs, whatever time it is."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=12)


def with_host_id(app: SampleApp) -> SampleApp:
    app.environment["AzureFunctionsWebHost__hostid"] = app.queue_name
    return app


@contextmanager
def status_blob(app: SampleApp) -> Iterator[BlobClient]:
    """Where the timer's status is stored."""
    with BlobServiceClient.from_connection_string(app.environment["AzureWebJobsStorage"]) as blobs:
        yield blobs.get_blob_client("azure-webjobs-hosts", f"timers/{app.queue_name}/Host.Functions.tick/status")


def status_of(app: SampleApp) -> dict[str, datetime]:
    with status_blob(app) as blob:
        stored: dict[str, str] = json.loads(blob.download_blob().readall())
    return {name: datetime.fromisoformat(moment) for name, moment in stored.items()}


def runs_until_there_is_a_status(app: SampleApp) -> None:
    with app.host(), status_blob(app) as blob:
        eventually(blob.exists)


def replace_status(app: SampleApp, last: datetime, following: datetime) -> None:
    content = {"Last": last.isoformat(), "Next": following.isoformat(), "LastUpdated": last.isoformat()}
    with status_blob(app) as blob:
        blob.upload_blob(json.dumps(content).encode(), overwrite=True)


def test_a_timer_fires_at_each_occurrence_of_its_schedule(sample_app: MakeApp) -> None:
    """A busy machine may miss some, but not every other one."""
    app = sample_app(EVERY_SECOND)

    def seconds() -> list[int]:
        return [int(line.split()[0]) for line in app.records()]

    with app.host():
        eventually(lambda: sum(later - one == 1 for one, later in pairwise(seconds())) >= 2)
    assert len(seconds()) == len(set(seconds()))
    assert {line.split()[1] for line in app.records()} == {"False"}


def test_the_status_tells_the_last_and_the_next_occurrence(sample_app: MakeApp) -> None:
    app = with_host_id(sample_app(EVERY_SECOND))
    with app.host():
        eventually(lambda: app.records())
    status = status_of(app)
    assert status["Next"] - status["Last"] == timedelta(seconds=1)
    ran = int(app.records()[-1].split()[0])
    assert ran - 10 < int(status["Last"].timestamp()) <= ran, "it may have run a little late"


def test_after_a_downtime_there_is_one_run_that_is_past_due_however_many_were_missed(sample_app: MakeApp) -> None:
    last = twelve_hours_ago()
    app = with_host_id(sample_app(daily(last)))
    runs_until_there_is_a_status(app)
    assert app.records() == []
    replace_status(app, last - timedelta(days=5), last - timedelta(days=4))
    with app.host():
        eventually(lambda: app.records())
        time.sleep(0.3)
    assert [line.split()[1] for line in app.records()] == ["True"]
    assert status_of(app)["Next"] == last + timedelta(days=1)


def test_a_schedule_that_was_changed_has_missed_nothing(sample_app: MakeApp) -> None:
    last = twelve_hours_ago()
    app = with_host_id(sample_app(daily(last)))
    runs_until_there_is_a_status(app)
    replace_status(app, last, last + timedelta(minutes=7))
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
            fired = len(app.records())
            eventually(lambda: len(app.records()) >= fired + 2)
            other.terminate()
            assert other.wait(60) == 0
    seconds = [line.split()[0] for line in app.records()]
    assert len(seconds) == len(set(seconds))
