"""Triggers of the runs: one queue message is one run of one mailbox; and the poison queue of each of these queues."""

import azure.functions as func

from functions.message import read, text_of
from shared import bootstrap
from shared.messages import Queue, SyncMailbox

blueprint = func.Blueprint()
STORAGE = "AzureWebJobsStorage"


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.SYNC_INCOMING.value, connection=STORAGE)
def sync_incoming(message: func.QueueMessage) -> None:
    """New mail."""
    bootstrap.sidesync().incoming.run(read(message, SyncMailbox), message.dequeue_count or 1)


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.SYNC_BACKFILL.value, connection=STORAGE)
def sync_backfill(message: func.QueueMessage) -> None:
    """Mail that was there before: never in the way of new mail, hence a queue of its own."""
    bootstrap.sidesync().incoming.run(read(message, SyncMailbox), message.dequeue_count or 1)


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.SYNC_OUTGOING.value, connection=STORAGE)
def sync_outgoing(message: func.QueueMessage) -> None:
    """Emails that were written here and wait to be sent."""
    bootstrap.sidesync().outgoing.run(read(message, SyncMailbox), message.dequeue_count or 1)


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.SYNC_INCOMING.poison, connection=STORAGE)
def sync_incoming_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.SYNC_INCOMING, text_of(message))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.SYNC_BACKFILL.poison, connection=STORAGE)
def sync_backfill_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.SYNC_BACKFILL, text_of(message))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.SYNC_OUTGOING.poison, connection=STORAGE)
def sync_outgoing_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.SYNC_OUTGOING, text_of(message))
