"""The MAPI message class that Exchange gives a message on arrival ([MS-OXCMAIL] 2.2.3, [MS-OXOSMIME], [MS-OXCICAL]): judging
goes by it, whichever server the message came from."""

import re

from shared.connectors.mime.bodies import Bodies
from shared.connectors.mime.structure import Part
from shared.connectors.mime.words import decoded_text

NOTE = "IPM.Note"

_SMIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_MEETINGS = {
    "REQUEST": "IPM.Schedule.Meeting.Request",
    "CANCEL": "IPM.Schedule.Meeting.Canceled",
    "COUNTER": "IPM.Schedule.Meeting.Resp.Tent",
}
_MEETING_REPLIES = {
    "ACCEPTED": "IPM.Schedule.Meeting.Resp.Pos",
    "DECLINED": "IPM.Schedule.Meeting.Resp.Neg",
    "TENTATIVE": "IPM.Schedule.Meeting.Resp.Tent",
}
_REPORT_ACTIONS = {"failed": "REPORT.IPM.Note.NDR", "delayed": "REPORT.IPM.Note.Delayed"}
_READ = "REPORT.IPM.Note.IPNRN"
_REPORT_TYPES = {"disposition-notification": _READ, "delivery-status": "REPORT.IPM.Note.NDR"}
_MEETING = "IPM.Schedule.Meeting."
_ACTION = re.compile(rb"^Action:[ \t]*([A-Za-z]+)", re.MULTILINE | re.IGNORECASE)
_METHOD = re.compile(r"^METHOD:(\w+)", re.MULTILINE | re.IGNORECASE)
_ANSWER = re.compile(r"PARTSTAT=(\w+)", re.IGNORECASE)


def item_class_of(root: Part, bodies: Bodies) -> str:
    """Of a whole message."""
    if root.content_type == "multipart/report":
        return _report_class(root)
    stated = item_class_of_headers(root)
    if stated == NOTE or stated.startswith(_MEETING):
        return _meeting_class(bodies.calendar) if bodies.calendar is not None else NOTE
    return stated


def item_class_of_headers(root: Part) -> str:
    """As far as the header block alone tells: of a report not what became of the email, of a meeting only where the calendar
    stands alone."""
    kind = root.content_type
    if kind == "multipart/report":
        return _REPORT_TYPES.get(root.parameters.get("report-type", "").lower(), NOTE)
    if kind == "multipart/signed":
        return "IPM.Note.SMIME.MultipartSigned"
    if kind in _SMIME or (kind == "application/octet-stream" and root.filename.lower().endswith(".p7m")):
        return "IPM.Note.SMIME"
    if kind == "text/calendar":
        return _meeting_class_of(root.parameters.get("method", ""), "")
    return NOTE


def _report_class(root: Part) -> str:
    if root.parameters.get("report-type", "").lower() == "disposition-notification":
        return _READ
    status = next((part for part in root.parts if part.content_type == "message/delivery-status"), None)
    if status is None:
        return NOTE
    action = _ACTION.search(status.head())
    return _REPORT_ACTIONS.get(action[1].decode().lower() if action else "failed", "REPORT.IPM.Note.DR")


def _meeting_class(calendar: Part) -> str:
    text = decoded_text(calendar.head(), calendar.parameters.get("charset"))
    stated = _METHOD.search(text)
    answer = _ANSWER.search(text)
    return _meeting_class_of(calendar.parameters.get("method") or (stated[1] if stated else ""), answer[1] if answer else "")


def _meeting_class_of(method: str, answer: str) -> str:
    if method.upper() == "REPLY":
        return _MEETING_REPLIES.get(answer.upper(), "IPM.Schedule.Meeting.Resp.Tent")
    return _MEETINGS.get(method.upper(), NOTE)
