"""Triggers of the schedule: the timer that finds what is due, and the shards that it is spread over when that is much; and
the nightly housekeeping.
"""

import azure.functions as func

from functions.message import read, text_of
from shared import bootstrap
from shared.messages import EnumerateShards, Queue

blueprint = func.Blueprint()
STORAGE = "AzureWebJobsStorage"


@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def enumerate_mailboxes(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's argument must be there
    """Each minute: finds the mailboxes that are due and enqueues each once."""
    bootstrap.sidesync().enumeration.enumerate_all()


@blueprint.timer_trigger(arg_name="timer", schedule="0 30 3 * * *")
def housekeeping(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's argument must be there
    """Each night: removes what the organisation's settings keep no longer."""
    bootstrap.sidesync().administration.housekeeping.run()


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.ENUMERATE_SHARDS.value, connection=STORAGE)
def enumerate_shards(message: func.QueueMessage) -> None:
    bootstrap.sidesync().enumeration.enumerate_shards(read(message, EnumerateShards))


@blueprint.queue_trigger(arg_name="message", queue_name=Queue.ENUMERATE_SHARDS.poison, connection=STORAGE)
def enumerate_shards_poison(message: func.QueueMessage) -> None:
    bootstrap.sidesync().poison.handle(Queue.ENUMERATE_SHARDS, text_of(message))
