"""The queue listener of the local host against Azurite: what the real host does with a message."""

import time
from datetime import timedelta

from local.host.storage import create_queue
from tests.functions.apps import SampleApp, eventually
from tests.functions.conftest import MakeApp

RECORDS_BODY = """
@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    record(message.get_body().decode())
"""
FAILS = """
@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    record(f"{message.get_body().decode()} {message.dequeue_count} {time.monotonic()}")
    raise ValueError("refused")
"""
SLEEPS = """
@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    record("begin")
    time.sleep(float(message.get_body()))
    record("end")
"""


def queues(**options: object) -> dict[str, object]:
    return {"queues": {"maxPollingInterval": "00:00:00.2", **options}}


def poisoned(app: SampleApp) -> list[str]:
    return app.stored("-poison")


def test_a_message_whose_function_succeeds_is_deleted(sample_app: MakeApp) -> None:
    app = sample_app(RECORDS_BODY)
    app.send("one", "two", "três")
    with app.host():
        eventually(lambda: app.count() == 0)
    assert sorted(app.records()) == ["one", "três", "two"]


def test_a_message_that_fails_is_tried_five_times_and_then_copied_unchanged_to_the_poison_queue(sample_app: MakeApp) -> None:
    app = sample_app(FAILS)
    app.send("naïve")
    with app.host():
        eventually(lambda: poisoned(app))
        eventually(lambda: app.count() == 0)
    assert [line.split()[1] for line in app.records()] == ["1", "2", "3", "4", "5"]
    assert poisoned(app) == ["naïve"]


def test_after_a_failure_a_message_is_left_alone_for_the_visibility_timeout(sample_app: MakeApp) -> None:
    app = sample_app(FAILS, queues(visibilityTimeout="00:00:02", maxDequeueCount=2))
    app.send("x")
    with app.host():
        eventually(lambda: poisoned(app))
    first, second = (float(line.split()[2]) for line in app.records())
    assert second - first >= 1


def test_the_message_of_a_long_function_stays_invisible_and_is_renewed(sample_app: MakeApp) -> None:
    app = sample_app(SLEEPS)
    app.send("6")
    with app.host(message_lease=timedelta(seconds=4)):
        eventually(lambda: "end" in app.records())
        eventually(lambda: app.count() == 0)
    assert app.records() == ["begin", "end"]


def test_a_message_that_is_not_encoded_as_host_json_says_goes_to_the_poison_queue_at_once_and_stops_no_other(
    sample_app: MakeApp,
) -> None:
    app = sample_app(RECORDS_BODY)
    with app.queue(encoded=False) as queue:
        create_queue(queue)
        queue.send_message("{not base64}")
    app.send("fine")
    with app.host():
        eventually(lambda: app.count() == 0)
    assert app.records() == ["fine"]
    assert poisoned(app) == ["{not base64}"]


def test_a_message_whose_last_attempt_ended_with_the_host_is_poisoned_without_another(sample_app: MakeApp) -> None:
    app = sample_app(RECORDS_BODY, queues(maxDequeueCount=1))
    app.send("killer")
    with app.queue() as queue:
        assert len(list(queue.receive_messages(visibility_timeout=1, max_messages=1))) == 1
    with app.host():
        eventually(lambda: poisoned(app) == ["killer"])
    assert app.records() == []


def test_the_message_of_a_failing_poison_function_does_not_come_again_soon(sample_app: MakeApp) -> None:
    app = sample_app(FAILS.replace("%QUEUE%", "%QUEUE%-poison"))
    with app.queue("-poison") as queue:
        create_queue(queue)
        queue.send_message("x")
    with app.host():
        eventually(lambda: app.records())
        time.sleep(0.8)
    assert len(app.records()) == 1
    assert app.count("-poison") == 1


def test_no_more_messages_are_in_flight_than_batch_and_threshold_allow(sample_app: MakeApp) -> None:
    source = """
    _running, _as_many_as_may = [], threading.Event()

    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage) -> None:
        _running.append(1)
        record(len(_running))
        if len(_running) == 3:
            _as_many_as_may.set()
        if message.get_body() == b"long":
            _as_many_as_may.wait(30)
            time.sleep(0.5)  # one more would begin by then
        _running.pop()
    """
    app = sample_app(source, queues(batchSize=2, newBatchThreshold=1))
    app.environment["PYTHON_THREADPOOL_THREAD_COUNT"] = "16"
    app.send("short", "long", "long", "long", "long")
    with app.host():
        eventually(lambda: app.count() == 0)
    assert max(int(line) for line in app.records()) == 3


def test_a_function_learns_the_id_the_attempt_and_the_times_of_its_message(sample_app: MakeApp) -> None:
    source = """
    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage) -> None:
        assert message.expiration_time > message.insertion_time
        assert message.time_next_visible > message.insertion_time
        assert message.pop_receipt
        record(f"{message.id} {message.dequeue_count}")
    """
    app = sample_app(source)
    with app.queue() as queue:
        create_queue(queue)
        sent = queue.send_message("x")
    with app.host():
        eventually(lambda: app.records())
    assert app.records() == [f"{sent.id} 1"]


def test_every_element_of_a_list_in_a_queue_output_becomes_a_message(sample_app: MakeApp) -> None:
    source = """
    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    @app.queue_output(arg_name="out", queue_name="%QUEUE%-out", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage, out: func.Out[typing.List[str]]) -> None:
        out.set(["one", "two"])
    """
    app = sample_app(source)
    app.send("x")
    with app.host():
        eventually(lambda: app.count() == 0)
    assert sorted(app.stored("-out")) == ["one", "two"]


def test_a_stop_waits_for_the_function_that_runs_and_its_message_is_deleted(sample_app: MakeApp) -> None:
    app = sample_app(SLEEPS)
    app.send("1")
    host = app.host()
    with host:
        eventually(lambda: app.records())
    assert app.records() == ["begin", "end"]
    assert app.count() == 0


def test_a_stop_gives_back_the_message_of_a_function_that_does_not_end_in_time(sample_app: MakeApp) -> None:
    app = sample_app(SLEEPS)
    app.send("10")
    with app.host(grace=timedelta(seconds=0.2)):
        eventually(lambda: app.records())
    assert app.stored() == ["10"]


def test_a_function_that_exceeds_the_function_timeout_has_failed(sample_app: MakeApp) -> None:
    app = sample_app(SLEEPS, queues(maxDequeueCount=1), functionTimeout="00:00:01")
    app.send("2")
    with app.host():
        eventually(lambda: poisoned(app) == ["2"])
