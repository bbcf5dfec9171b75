"""Examples of what clients send; the description shows them, and a test sends each."""

from pydantic import JsonValue

SETTINGS: list[JsonValue] = [
    {
        "default_profile_id": None,
        "require_approval_for_users": True,
        "filter_ceiling": "email_enabled_records",
        "exclude": ["newsletter.example", "robot@contoso.com"],
        "internal_mail": "one_activity",
        "blocked_attachments": ["exe", "js"],
        "keep_runs": 2592000,
    }
]
SETTINGS_PATCH: list[JsonValue] = [{"require_approval_for_users": False, "filter_ceiling": None}]

PROFILE: list[JsonValue] = [
    {
        "name": "Contoso Exchange",
        "server_type": "exchange_server",
        "incoming_location": "https://mail.contoso.com/EWS/Exchange.asmx",
        "authentication": "ntlm",
        "credential_source": "profile",
        "credentials": {"username": "CONTOSO\\sidesync", "secret": "the password"},
    },
    {
        "name": "Exchange Online",
        "server_type": "exchange_online",
        "incoming_location": "https://outlook.office365.com/EWS/Exchange.asmx",
        "authentication": "oauth",
        "credential_source": "application",
        "credentials": {
            "tenant_id": "contoso.onmicrosoft.com",
            "client_id": "00001111-aaaa-2222-bbbb-3333cccc4444",
            "secret": "the client secret",
        },
    },
    {
        "name": "Gmail, with the consent of each owner",
        "server_type": "imap_smtp",
        "incoming_location": "imap.gmail.com",
        "authentication": "oauth",
        "oauth_provider": "google",
        "credential_source": "mailbox",
        "credentials": {"client_id": "123-abc.apps.googleusercontent.com", "secret": "the client secret"},
        "use_same_settings_for_outgoing": False,
        "outgoing_location": "smtp.gmail.com",
    },
]
PROFILE_PATCH: list[JsonValue] = [{"timeout": 60, "credentials": {"secret": "the new password"}}]

OWNER: list[JsonValue] = [{"name": "Anna Berg", "address": "anna@contoso.com", "filtering_method": "responses"}]
OWNER_PATCH: list[JsonValue] = [{"address": "anna.berg@contoso.com"}]

MAILBOX_PATCH: list[JsonValue] = [
    {"profile_id": "contoso-exchange", "process_email_received_after": "2026-01-31T00:00:00Z"},
    {"credentials": {"username": "anna", "secret": "the password"}},
]
FORWARD_MAILBOX: list[JsonValue] = [{"name": "Collected mail", "address": "collected@contoso.com"}]

RULE: list[JsonValue] = [
    {"folder_name": "Contoso Ltd", "regarding": {"type": "account", "id": "contoso"}, "include_subfolders": True}
]
RULE_PATCH: list[JsonValue] = [{"regarding": {"type": "account", "id": "fabrikam"}, "from_now_on": True}]

RESET: list[JsonValue] = [{"received_after": "2026-01-31T00:00:00Z"}]

REGARDING: list[JsonValue] = [{"type": "account", "id": "contoso"}]
OWNER_REF: list[JsonValue] = [{"kind": "user", "id": "anna"}]
TRACK: list[JsonValue] = [{"message_id": "<offer@fabrikam.com>", "regarding": {"type": "account", "id": "fabrikam"}}]
UNTRACK: list[JsonValue] = [{"message_id": "<offer@fabrikam.com>"}]
JUDGE: list[JsonValue] = [{"since": "2026-01-31T00:00:00Z"}]
PREVIEW: list[JsonValue] = [
    {"last": 100, "changes": {"filtering_method": "responses"}},
    {"last": 50, "changes": {"settings": {"exclude": ["newsletter.example"]}, "rules": []}},
]
DRAFT: list[JsonValue] = [
    {
        "sender": {"kind": "user", "id": "anna"},
        "to": [{"type": "contact", "id": "kim"}, {"address": "carol@fabrikam.com", "name": "Carol"}],
        "subject": "Our offer",
        "body_html": "<p>Dear Kim, here is our offer.</p>",
        "regarding": {"type": "account", "id": "fabrikam"},
        "key": "offer-2026-117",
    },
    {
        "sender": {"kind": "queue", "id": "sales"},
        "submitter": "anna",
        "answers": {"activity_id": "0b8a7b1e-9f43-5a0d-8a52-5f0f6f2d7c02", "kind": "reply_all"},
        "body_text": "Thank you, we look into it.",
    },
]
DRAFT_PATCH: list[JsonValue] = [{"subject": "Our new offer", "send_after": "2026-12-01T08:00:00Z"}]
ATTACHMENT: list[JsonValue] = [
    {"name": "offer.pdf", "content_type": "application/pdf", "size": 734003, "key": "offer"},
    {"name": "logo.png", "content_type": "image/png", "size": 5120, "content_id": "logo@contoso.com", "is_inline": True},
]
DISCARD: list[JsonValue] = [{"reason": "Advertising that nobody needs."}]
