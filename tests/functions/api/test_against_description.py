"""The API against its own description: requests of every kind that the description allows or forbids, made up by schemathesis.

Nothing fails in the server, every answer has a status, a form and headers that are described, and what breaks the description
is refused. The same requests in every run.
"""

import pytest
import schemathesis
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.builders import a_message
from tests.functions.api.found_mail import has_email, has_quarantined_item
from tests.functions.api.made_up_requests import (
    CONFIG,
    DESCRIPTION,
    MadeUp,
    known,
    prepare,
    records_beside,
    requests_per_operation,
)
from tests.functions.api.over_memory import Api

KEY = "the key of the function app"

API = Api()
MAILBOX = API.has_mailbox_being_read()
has_email(API, MAILBOX)
has_quarantined_item(API, MAILBOX)
API.mail.deliver(a_message())
for path, body in records_beside(MAILBOX).items():
    assert API.put(path, body).status_code == 201
API.has_mailbox_that_sends()
DRAFT = API.has_draft()
UPLOAD = API.has_upload(DRAFT)
IDS = dict(known(MAILBOX))
IDS["activity_id"] = [*IDS["activity_id"], DRAFT.rpartition("/")[2]]
IDS["upload"] = [UPLOAD.rpartition("/")[2]]


class Host:
    """Stands before the app as the Functions host does: without the key it answers, and says nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and Headers(scope=scope).get("x-functions-key") != KEY and scope["path"] != DESCRIPTION:
            await Response(status_code=401)(scope, receive, send)
        else:
            await API.app(scope, receive, send)


schema = schemathesis.openapi.from_asgi(DESCRIPTION, Host(), config=CONFIG)
prepare(schema, KEY, IDS)


@pytest.mark.filterwarnings("ignore")  # of the libraries that schemathesis stands on
@schema.parametrize()
@requests_per_operation(4)
def test_the_api_does_as_its_description_says(case: MadeUp) -> None:
    case.call_and_validate()
