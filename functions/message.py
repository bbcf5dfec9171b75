"""A queue message as the functions take it: the text, and the message of ours that it is."""

import azure.functions as func

from shared.messages import MalformedMessage, Message, parse


def text_of(message: func.QueueMessage) -> str:
    """What is no UTF-8 is made readable, so that the poison functions can show anything."""
    return message.get_body().decode(errors="replace")


def read[M: Message](message: func.QueueMessage, kind: type[M]) -> M:
    """Raises MalformedMessage: the function fails, and the host moves the message to the poison queue after five attempts."""
    content = parse(text_of(message))
    if not isinstance(content, kind):
        raise MalformedMessage(f"{type(content).__name__} does not belong into this queue")
    return content
