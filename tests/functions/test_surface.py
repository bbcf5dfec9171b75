"""The surface of the function app: every function with its trigger, as the worker reports it to the host."""

import json
from datetime import timedelta
from pathlib import Path

import function_app
from local.host.configuration import read_host_json
from shared.messages import Queue

ROOT = Path(__file__).parents[2]

SURFACE = {
    "enumerate_mailboxes": ("timerTrigger", "0 * * * * *", None),
    "housekeeping": ("timerTrigger", "0 30 3 * * *", None),
    "enumerate_shards": ("queueTrigger", "enumerate-shards", None),
    "enumerate_shards_poison": ("queueTrigger", "enumerate-shards-poison", None),
    "sync_incoming": ("queueTrigger", "sync-incoming", None),
    "sync_incoming_poison": ("queueTrigger", "sync-incoming-poison", None),
    "sync_backfill": ("queueTrigger", "sync-backfill", None),
    "sync_backfill_poison": ("queueTrigger", "sync-backfill-poison", None),
    "sync_outgoing": ("queueTrigger", "sync-outgoing", None),
    "sync_outgoing_poison": ("queueTrigger", "sync-outgoing-poison", None),
    "probe_mailbox": ("queueTrigger", "test-mailbox", None),
    "probe_mailbox_poison": ("queueTrigger", "test-mailbox-poison", None),
    "visit_mailboxes": ("queueTrigger", "visit-mailboxes", None),
    "visit_mailboxes_poison": ("queueTrigger", "visit-mailboxes-poison", None),
    "load_records": ("queueTrigger", "load-records", None),
    "load_records_poison": ("queueTrigger", "load-records-poison", None),
    "change_items": ("queueTrigger", "change-items", None),
    "change_items_poison": ("queueTrigger", "change-items-poison", None),
    "relink_folder": ("queueTrigger", "relink-folder", None),
    "relink_folder_poison": ("queueTrigger", "relink-folder-poison", None),
    "about_the_api": ("httpTrigger", "docs/{file?}", "ANONYMOUS"),
    "accept_consent": ("httpTrigger", "consent", "ANONYMOUS"),
    "api": ("httpTrigger", "{*path}", "FUNCTION"),
}


def test_the_functions_their_triggers_and_their_keys() -> None:
    found = {}
    for function in function_app.app.get_functions():
        bindings = json.loads(function.get_function_json())["bindings"]
        trigger = next(binding for binding in bindings if binding["type"].endswith("Trigger"))
        where = trigger.get("schedule") or trigger.get("queueName") or trigger.get("route")
        found[function.get_function_name()] = (trigger["type"], where, trigger.get("authLevel"))
        assert trigger.get("connection", "AzureWebJobsStorage") == "AzureWebJobsStorage"
        assert not trigger.get("methods"), "the API decides about methods itself"
    assert found == SURFACE


def test_every_queue_of_ours_has_a_function_and_a_poison_function() -> None:
    queues = {where for kind, where, _ in SURFACE.values() if kind == "queueTrigger"}
    assert queues == {queue.value for queue in Queue} | {queue.poison for queue in Queue}


def test_host_json_has_only_what_the_host_accepts_and_the_limits_that_were_reasoned() -> None:
    options = read_host_json(ROOT, {})
    at_once = options.queues.batch_size + options.queues.new_batch_threshold
    assert at_once == 8  # runs per queue: about 150 MB each with a 20 MB message in hand, within 2 GB
    assert options.queues.max_dequeue_count == 5
    assert options.queues.base64
    assert options.function_timeout is not None
    assert options.function_timeout > timedelta(seconds=1500)  # the longest run budget that the settings allow


def test_the_sample_of_the_settings_explains_every_setting() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())
    assert set(sample["Values"]) | set(sample["Host"]) <= set(sample["Explanations"])
    assert all(isinstance(value, str) for value in sample["Values"].values())
    assert sample["IsEncrypted"] is False
