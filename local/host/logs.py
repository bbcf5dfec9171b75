"""How the host's log reads in a terminal: time, level, event, then its fields. One line per event."""

import logging
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31"}


class EventFormatter(logging.Formatter):
    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        traceback = str(fields.pop("traceback", "") or "")
        if record.exc_info:
            traceback = self.formatException(record.exc_info)
        moment = datetime.fromtimestamp(record.created, UTC)
        head = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03} {record.levelname.lower():7} {record.getMessage()}"
        line = " ".join([head, *(f"{name}={value}" for name, value in fields.items())])
        if self._colours and record.levelno in _COLOURS:
            line = f"\x1b[{_COLOURS[record.levelno]}m{line}\x1b[0m"
        return f"{line}\n{traceback}".rstrip()


def log_to_terminal(level: str) -> None:
    """Sends all logs to standard error. The worker's and the SDK's own chatter only from warnings on: the host logs the end
    of every invocation itself."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter(colours=sys.stderr.isatty()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("azure", "urllib3", "asyncio", "httpx", "exchangelib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("azure.functions").setLevel(logging.CRITICAL)
