"""What keeps the host from starting, in words for the person who started it."""


class HostError(Exception):
    """The host cannot start; the message says what is wrong and what to do about it."""
