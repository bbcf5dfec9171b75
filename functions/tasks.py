"""Triggers of what administrators set off: tests of mailboxes, walks over a profile, bulk loads; and their poison queues."""

import azure.functions as func

from functions.message import read, text_of
from shared import bootstrap
from shared.messages import LoadRecords, ProbeMailbox, Queue, VisitMailboxes

blueprint = func.Blueprint()
STORAGE = "AzureWebJobsStorage"


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.TEST_MAILBOX.value, connection=STORAGE)
def probe_mailbox(message: func.QueueMessage) -> None:
    bootstrap.sidesync().administration.testing.probe(read(message, ProbeMailbox))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.VISIT_MAILBOXES.value, connection=STORAGE)
def visit_mailboxes(message: func.QueueMessage) -> None:
    bootstrap.sidesync().administration.testing.visit(read(message, VisitMailboxes))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.LOAD_RECORDS.value, connection=STORAGE)
def load_records(message: func.QueueMessage) -> None:
    bootstrap.sidesync().administration.loads.run(read(message, LoadRecords))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.TEST_MAILBOX.poison, connection=STORAGE)
def probe_mailbox_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.TEST_MAILBOX, text_of(message))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.VISIT_MAILBOXES.poison, connection=STORAGE)
def visit_mailboxes_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.VISIT_MAILBOXES, text_of(message))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.LOAD_RECORDS.poison, connection=STORAGE)
def load_records_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.LOAD_RECORDS, text_of(message))
