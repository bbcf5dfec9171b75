"""The local host while its storage is away, and afterwards."""

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from local.azurite import Azurite
from tests.functions.apps import QUICK, SampleApp, eventually

SOURCE = """
@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    record("work")

@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    record("tick")
"""


def test_after_an_outage_of_storage_queues_and_timers_go_on_by_themselves(tmp_path: Path) -> None:
    before = Azurite(tmp_path / "data")
    before.start()
    ports = tuple(urlsplit(before.endpoints[f"{service}Endpoint"]).port or 0 for service in ("Blob", "Queue", "Table"))
    app = SampleApp(tmp_path / "app", before, SOURCE, QUICK)
    app.send()
    with ExitStack() as afterwards, app.host():
        eventually(lambda: "tick" in app.records())
        before.stop()
        afterwards.enter_context(Azurite(tmp_path / "data", ports))  # type: ignore[arg-type] # three of them
        ticks = len(app.records())
        app.send("x")
        eventually(lambda: "work" in app.records(), 30)
        eventually(lambda: app.records().count("tick") > ticks + 1, 30)
