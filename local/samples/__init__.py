"""Sample mail: several hundred varied messages as bytes, each with what Sidesync is expected to make of it.

Deterministic: the same `now` and the same sizes give the same bytes.
"""

from collections.abc import Sequence
from datetime import datetime

from local.samples.broken import broken
from local.samples.charsets import charsets
from local.samples.correspondence import correspondence, waiting
from local.samples.particular import LARGE_BYTES, START_DATE_AGO, particular
from local.samples.sample import Placed, Sample, SentAttachment, Shows

__all__ = ["LARGE_BYTES", "START_DATE_AGO", "Placed", "Sample", "SentAttachment", "Shows", "sample_mail"]


def sample_mail(now: datetime, threads: int = 300, large_bytes: int = LARGE_BYTES) -> Sequence[Sample]:
    """Everything that the demo delivers: `threads` messages of ordinary correspondence and one of each particular thing."""
    now = now.replace(microsecond=0)
    return (
        *correspondence(now, threads),
        *waiting(now),
        *charsets(now),
        *particular(now, large_bytes),
        *broken(now),
    )
