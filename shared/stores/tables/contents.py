"""The content of an email as a row. A text that is too large for it stands in a blob, which a column of the row names."""

from collections.abc import Callable, Mapping

from shared.domain.email import EmailContent
from shared.stores.codec import Column
from shared.stores.limits import TEXT_UNITS, units
from shared.stores.tables.gateway import Entity
from shared.stores.tables.table import columns_of, record_of
from shared.stores.text_blobs import TextBlobs

_BLOB = "_blob"
"""Ends the name of a column that holds the name of the blob in which the text is."""


def content_columns(
    content: EmailContent, blob_of: Callable[[str, str], str]
) -> tuple[Mapping[str, Column], Mapping[str, str]]:
    """The columns, large texts replaced by the names of their blobs, which `blob_of` chooses by column and text; and those
    texts by the name of their blob."""
    columns: dict[str, Column] = {}
    texts: dict[str, str] = {}
    for name, value in columns_of(content).items():
        if isinstance(value, str) and units(value) > TEXT_UNITS:
            columns[name + _BLOB] = blob = blob_of(name, value)
            texts[blob] = value
        else:
            columns[name] = value
    return columns, texts


def blobs_of(row: Entity) -> Mapping[str, str]:
    """The columns whose text is in a blob, and its name."""
    return {name.removesuffix(_BLOB): str(blob) for name, blob in row.columns.items() if name.endswith(_BLOB)}


def content_of(row: Entity, texts: TextBlobs) -> EmailContent:
    """Raises KeyError where a text is gone."""
    large = {name: texts.read(blob) for name, blob in blobs_of(row).items()}
    return record_of(EmailContent, Entity(row.partition, row.row, row.etag, {**row.columns, **large}))
