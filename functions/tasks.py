"""Triggers of what administrators set off: tests of mailboxes, walks over a profile, bulk loads, changes of items, new records
for the mail of a folder; and their poison queues.
"""

import azure.functions as func

from functions.message import read, text_of
from shared import bootstrap
from shared.messages import ChangeItems, LoadRecords, ProbeMailbox, Queue, RelinkFolder, VisitMailboxes

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


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.CHANGE_ITEMS.value, connection=STORAGE)
def change_items(message: func.QueueMessage) -> None:
    bootstrap.sidesync().items.run(read(message, ChangeItems), message.dequeue_count or 1)


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.RELINK_FOLDER.value, connection=STORAGE)
def relink_folder(message: func.QueueMessage) -> None:
    bootstrap.sidesync().relinking.run(read(message, RelinkFolder))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.TEST_MAILBOX.poison, connection=STORAGE)
def probe_mailbox_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.TEST_MAILBOX, text_of(message))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.VISIT_MAILBOXES.poison, connection=STORAGE)
def visit_mailboxes_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.VISIT_MAILBOXES, text_of(message))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.LOAD_RECORDS.poison, connection=STORAGE)
def load_records_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.LOAD_RECORDS, text_of(message))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.CHANGE_ITEMS.poison, connection=STORAGE)
def change_items_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.CHANGE_ITEMS, text_of(message))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.RELINK_FOLDER.poison, connection=STORAGE)
def relink_folder_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.RELINK_FOLDER, text_of(message))
