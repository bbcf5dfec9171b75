"""How much this server takes at once. Knows no protocol."""

from dataclasses import dataclass

LARGEST_MESSAGE = 150 * 1024 * 1024
"""Bytes, Exchange Online's largest."""
MOST_RECIPIENTS = 1000
"""Of one message, as Exchange Online."""


@dataclass(slots=True)
class Limits:
    largest_message: int = LARGEST_MESSAGE
    most_recipients: int = MOST_RECIPIENTS

    def set(self, largest_message: int | None = None, most_recipients: int | None = None) -> None:
        """These from now on; None: as they are by themselves."""
        self.largest_message = largest_message or LARGEST_MESSAGE
        self.most_recipients = most_recipients or MOST_RECIPIENTS
