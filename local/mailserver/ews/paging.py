"""IndexedPageItemView and IndexedPageFolderView: which part of what was found a reply holds ([MS-OXWSSRCH] 2.2.4)."""

from collections.abc import Sequence

from lxml import etree

from local.mailserver.ews.errors import ResponseError

MAX_ENTRIES = 1000
"""EWSFindCountLimit: more are never given at once."""


def paged[T](view: etree._Element | None, found: Sequence[T]) -> tuple[Sequence[T], bytes]:
    """The page that the view asks for, and what the reply says of it. From the end, offsets count backwards.

    Raises ResponseError.
    """
    offset = int(view.get("Offset", "0")) if view is not None else 0
    limit = int(view.get("MaxEntriesReturned", MAX_ENTRIES)) if view is not None else MAX_ENTRIES
    if offset < 0:
        raise ResponseError("ErrorInvalidIndexedPagingParameters")
    if limit < 1:
        raise ResponseError("ErrorInvalidPagingMaxRows")
    limit = min(limit, MAX_ENTRIES)
    following = min(offset + limit, len(found))
    if view is not None and view.get("BasePoint") == "End":
        page = found[len(found) - following : max(0, len(found) - offset)]
    else:
        page = found[offset:following]
    last = b"true" if following >= len(found) else b"false"
    said = b' IndexedPagingOffset="%d" TotalItemsInView="%d" IncludesLastItemInRange="%b"'
    return page, said % (following, len(found), last)
