"""What verdicts, reasons and error codes mean, in plain words for administrators.

Every `Verdict`, `Reason`, `TryOutcome`, method and filter, every `Ineligible` and code of a `SyncError` has its words; a code
that is not known is shown as it is.
"""

from collections.abc import Mapping

from shared.domain.choices import CorrelationMethod, IncomingFilteringMethod, Reason, RegardingSource, Verdict
from shared.domain.eligibility import Ineligible
from shared.domain.judgement import CorrelationTry, TryOutcome, Vote
from shared.domain.ledger import TodoKind

VERDICTS: Mapping[Verdict, str] = {
    Verdict.PROMOTED: "The message was stored as an email activity.",
    Verdict.SKIPPED: "The message was left in the mailbox only.",
    Verdict.FAILING: "The message could not be stored yet; it is tried again.",
    Verdict.QUARANTINED: "The message was given up after repeated attempts and is kept in quarantine.",
    Verdict.GONE: "The message was no longer in the folder when it was to be read.",
}

REASONS: Mapping[Reason, str] = {
    Reason.RELEVANT: "Somebody whom it reached accepts all mail.",
    Reason.RESPONSE: "It answers an email that is an activity already.",
    Reason.KNOWN_SENDER: "Its sender, or of a sent message a recipient, is a contact, account or lead.",
    Reason.KNOWN_RECORD: "Its sender, or of a sent message a recipient, is a record of the address book.",
    Reason.SENDER_CLAIMS_OWN_ADDRESS: (
        "Its sender has an address of this organisation, but the server does not confirm that a user of it sent it."
    ),
    Reason.FOLDER_RULE: "It lies in a folder whose tracking rule says so.",
    Reason.CATEGORY: "Somebody gave it the tracking category in the mail client.",
    Reason.BY_HAND: "Somebody asked for it to be tracked.",
    Reason.DELIVERY_REPORT: "It reports what became of an email that is an activity.",
    Reason.DRAFT: "It is a draft that was not sent yet.",
    Reason.OWN_COPY: "It is this mailbox's own copy of a message that it sent.",
    Reason.INTERNAL_SENDER: "It is mail between users of this organisation, which is left in the mailboxes.",
    Reason.MEETING_MESSAGE: "It is a meeting request or an answer to one.",
    Reason.BEFORE_START_DATE: "It was received before the date from which mail of this mailbox is read.",
    Reason.TOO_LARGE: "It is larger than what is read from a mailbox.",
    Reason.NOT_A_MESSAGE: "It is an item of another kind, not a mail message.",
    Reason.EXCLUDED: "Its sender, or of a sent message every recipient, is on the list of addresses that are never tracked.",
    Reason.AUTOMATIC_REPLY: "It is an automatic reply, such as an out-of-office message or a receipt.",
    Reason.LOOP: "It went through a mailbox of this organisation before and came back.",
    Reason.OPTED_OUT: "It belongs to a conversation that is not tracked any more.",
    Reason.NO_CORRELATION_MATCH: "Whoever it reached accepts only answers to emails that are activities, and it is none.",
    Reason.NO_SENDER_MATCH: (
        "Whoever it reached accepts only mail of known records and answers to activities; its sender, or of a sent message "
        "every recipient, is unknown."
    ),
    Reason.FILTER_NONE: "Whoever it reached accepts no mail, or the organisation allows none to be accepted.",
    Reason.NO_RECIPIENT_MATCH: "No recipient is an active user or queue, and the mailbox belongs to none either.",
    Reason.PLAIN_FORWARD: (
        "It came to a forward mailbox without a message attached to it. Let the server rule forward messages as attachments."
    ),
    Reason.UNKNOWN_FORWARDER: "It was forwarded to a forward mailbox by somebody who is no active user or queue.",
    Reason.NOT_COLLECTED: (
        "It was forwarded to a forward mailbox, but for nobody whose mail comes that way: neither who forwarded it nor a"
        " recipient has an active, approved mailbox with the incoming method forward mailbox."
    ),
    Reason.UNTRACKED: "Somebody took it back: by hand, or by removing the category in the mail client.",
    Reason.DELETED: "Somebody deleted the activity that it was.",
    Reason.REMOVED_BEFORE_READ: "It was moved or deleted before it could be read.",
    Reason.UNREADABLE: "The server cannot give it, or gives it in a form that cannot be read.",
    Reason.REJECTED: "The store does not accept it.",
    Reason.STOPPED_THE_PROCESS: "Reading it stopped the process that read it, several times.",
    Reason.DISCARDED: "Somebody gave it up while it was in quarantine.",
}

OUTCOMES: Mapping[TryOutcome, str] = {
    TryOutcome.MATCHED: "It leads to an email that is an activity.",
    TryOutcome.NOT_FOUND: "It leads to nothing that is known.",
    TryOutcome.ABSENT: "The message carries none.",
    TryOutcome.STRANGER: "It leads to an email in which the sender does not take part, so it proves nothing.",
    TryOutcome.OPTED_OUT: "It leads to a conversation that is not tracked any more; nothing else was tried.",
    TryOutcome.FORWARD: "It leads to an email that this message forwards and does not answer.",
}

METHODS: Mapping[CorrelationMethod, str] = {
    CorrelationMethod.NONE: "nothing",
    CorrelationMethod.SKIPPED: "not counted",
    CorrelationMethod.IN_REPLY_TO: "what it names as answered (In-Reply-To, References)",
    CorrelationMethod.TRACKING_TOKEN: "the tracking token in its subject",
    CorrelationMethod.CONVERSATION_INDEX: "the conversation that the mail client keeps (conversation index)",
    CorrelationMethod.SMART_MATCHING: "the words of its subject and its addresses (smart matching)",
}

FILTERS: Mapping[IncomingFilteringMethod, str] = {
    IncomingFilteringMethod.ALL: "accepts all mail",
    IncomingFilteringMethod.RESPONSES: "accepts answers to emails that are activities",
    IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS: "accepts mail of contacts, accounts and leads, and answers",
    IncomingFilteringMethod.EMAIL_ENABLED_RECORDS: "accepts mail of all records of the address book, and answers",
    IncomingFilteringMethod.NONE: "accepts no mail",
}

TODOS: Mapping[TodoKind, str] = {
    TodoKind.RETRY: "It is read again",
    TodoKind.JUDGE: "It is judged again",
    TodoKind.TRACK: "It is tracked, as somebody asked",
    TodoKind.STAMP: "Its category in the mailbox is set",
    TodoKind.MOVE: "It is moved to the folder of undeliverable mail",
    TodoKind.DISCARD: "It is deleted in the mailbox, since it is stored",
    TodoKind.JOIN: "The beginning of its conversation is looked for again",
}

REGARDING: Mapping[RegardingSource, str] = {
    RegardingSource.CORRELATION: "taken over from the email that it continues",
    RegardingSource.RULE: "set by the tracking rule of its folder",
    RegardingSource.HAND: "set by hand",
}

INELIGIBLE: Mapping[Ineligible, str] = {
    Ineligible.MAILBOX_INACTIVE: "The mailbox is inactive.",
    Ineligible.METHOD_NONE: "The mailbox is not set to server-side synchronization for this.",
    Ineligible.NO_CONNECTOR: "This version of Sidesync has no connector for this workload with this type of server.",
    Ineligible.NOT_APPROVED: "The email address of the mailbox is not approved.",
    Ineligible.NO_PROFILE: "The mailbox has no email server profile.",
    Ineligible.UNKNOWN_PROFILE: "The email server profile of the mailbox does not exist.",
    Ineligible.PROFILE_INACTIVE: "The email server profile of the mailbox is inactive.",
    Ineligible.PROFILE_BREAKER_OPEN: "The server refused the profile's credentials; they are tried again within the hour.",
    Ineligible.BREAKER_OPEN: "The mailbox failed before; it is probed again at the time shown.",
}

_ERRORS: Mapping[str, str] = {
    "transient": "The mail server or the store failed for the moment.",
    "throttled": "The mail server asks for fewer requests.",
    "unreachable": "The mail server does not answer, or not as a mail server does.",
    "name_not_found": "The host name of the mail server is not known.",
    "connection_refused": "Nothing accepts connections at the host and port of the server location.",
    "no_answer": "The mail server does not answer in the time allowed.",
    "certificate_refused": "The certificate of the mail server is not valid for its name, or not trusted.",
    "no_tls": "What listens at the server location does not speak TLS.",
    "no_mail_server": "What answers at the server location is no mail server of the profile's type.",
    "location_refused": "The server location is not one that credentials may be sent to.",
    "not_discovered": "Autodiscover does not say where the mailbox is.",
    "server_type_unsupported": "What was asked for is not possible with the profile's type of server.",
    "busy": "The mail server or the store cannot do this at the moment.",
    "mailbox_error": "The mailbox cannot be opened.",
    "authentication_failed": "The mail server refused the user name, password or client secret.",
    "issuer_unreachable": "The issuer of tokens (Microsoft Entra ID, Google) does not answer, or not as an issuer does.",
    "consent_missing": "The owner of the mailbox has not consented, or the consent was withdrawn.",
    "consent_outdated": "The owner of the mailbox consented to something else than the profile asks for by now.",
    "consent_ended": "The provider does not accept the consent of the mailbox's owner any more.",
    "no_lasting_consent": "The owner of the mailbox consented, but not to its being used when away.",
    "access_denied": "The profile's identity may not open this mailbox.",
    "ews_blocked": "Exchange does not allow EWS for this mailbox, this application or the whole organisation.",
    "sending_blocked": "Exchange lets the mailbox send nothing at all.",
    "impersonation_denied": "The profile's identity may not act as this mailbox.",
    "delegate_access_missing": "The mailbox is not opened to the profile's identity.",
    "mailbox_not_found": "The mail server has no mailbox with this address.",
    "not_approved": "The email address of the mailbox is not approved.",
    "disabled": "The mailbox, its profile or its account on the server is disabled.",
    "account_disabled": "The account or its mailbox is disabled on the mail server.",
    "password_refused": "The mail server takes no password over this connection.",
    "tls_required": "The mail server takes nothing over a connection without TLS.",
    "sign_in_required": "The mail server takes no mail from who does not sign in.",
    "submission_off": "Sending over SMTP is switched off for the mailbox.",
    "not_welcome": "The mail server accepts no connections from this deployment.",
    "not_let_in": "The mail server accepts the credentials, but opens no mailbox, or not this one.",
    "no_lasting_ids": "The IMAP server does not tell messages apart lastingly (UIDVALIDITY).",
    "uidl_missing": "The POP3 server does not tell messages apart lastingly (UIDL).",
    "item_error": "The message cannot be processed.",
    "item_gone": "The message is no longer there.",
    "item_too_large": "The message is too large.",
    "being_sent": "The message is a copy of an email that is being sent at this moment.",
    "item_unreadable": "The message cannot be read.",
    "item_rejected": "The store does not accept the message.",
    "stopped_the_process": "Reading the message stopped the process that read it.",
    "delivery_error": "The mail server does not send the email.",
    "delivery_postponed": "The mail server does not take the email for the moment.",
    "delivery_unknown": "The connection broke off before the mail server said whether it took the email.",
    "delivery_refused": "The mail server refuses the email.",
    "not_given": "The mail server was not reached, so it was not given the email.",
    "draft_gone": "The draft of the email is no longer where it was.",
    "draft_taken": "Somebody deleted or moved the draft of the email before it was sent.",
    "recipients_refused": "The mail server accepts none of the recipients.",
    "send_as_denied": "The mail server does not let the mailbox send as, or on behalf of, the sender.",
    "email_too_large": "The email is larger than the mail server takes.",
    "attachment_lost": "The content of an attachment of the email is not in the store any more.",
    "text_lost": "A text of the email is not in the store any more.",
    "sending_quota_spent": "The mailbox has sent as much as the mail server allows for a time.",
    "watermark_expired": "The mail server forgot how far the folder was read; it is listed again.",
    "folder_not_found": "The folder does not exist on the mail server.",
    "suspicious_change": "Too much would have been lost at once, so nothing was changed.",
    "lease_lost": "Another worker has the mailbox now.",
    "malformed_message": "A queue message was not one of Sidesync's.",
    "poison_message": "A queue message failed repeatedly.",
    "item_quarantined": "A message is in quarantine.",
    "marking_failed": "A message cannot be marked, moved or deleted in the mailbox.",
    "test_succeeded": "The test succeeded.",
    "test_under_way": "Another test of the mailbox has begun and has not ended yet.",
    "sync_error": "Something failed.",
    "invalid_record": "A configuration record breaks a rule.",
    "already_exists": "There is a record of this id already.",
    "changed": "The record was changed by somebody else meanwhile.",
    "record_not_found": "There is no such record.",
    "not_possible_now": "This is not possible in the present state of the record.",
    "unauthenticated": "The caller of the API did not say who it is.",
    "forbidden": "The caller of the API may not do this.",
    "key_vault_refused": "Key Vault refused to read or write a secret.",
    "wrong_secrets_key": "A stored secret was encrypted with another key than the settings have now.",
    "unreadable_row": "A row of the store is not as this version of Sidesync writes it.",
    "invalid_connection": "The settings do not say which storage account to use.",
    "storage_refused": "The storage account refused a request.",
    "missing_setting": "A setting that Sidesync needs is missing or not valid.",
    "unexpected": "Something failed that Sidesync does not know; the log has the details.",
}


def cause_of(code: str) -> str:
    """A sentence for an error code or a reason why a mailbox is not run."""
    if code in Ineligible:
        return INELIGIBLE[Ineligible(code)]
    return _ERRORS.get(code, f"Error {code}.")


def told(vote: Vote) -> str:
    """One sentence: what a user or queue said to a message."""
    answer = "yes" if vote.accepts else "no"
    return f"{vote.owner.kind.value.capitalize()} {vote.owner.id} {FILTERS[vote.method]}: {answer}. {REASONS[vote.reason]}"


def told_try(attempt: CorrelationTry) -> str:
    """One sentence: what came of one way to find the conversation of a message."""
    words = METHODS[attempt.method]
    return f"{words[0].upper()}{words[1:]}: {OUTCOMES[attempt.outcome][0].lower()}{OUTCOMES[attempt.outcome][1:]}"


def explain(verdict: Verdict, reason: Reason) -> str:
    """Two sentences: what became of a message, and why."""
    return f"{VERDICTS[verdict]} {REASONS[reason]}"


_PREVIEWED: Mapping[Verdict, str] = {
    Verdict.PROMOTED: "The message would be stored as an email activity.",
    Verdict.SKIPPED: "The message would be left in the mailbox only.",
    Verdict.FAILING: "The message could not be stored.",
    Verdict.QUARANTINED: "The message could not be stored.",
    Verdict.GONE: "The message is no longer there.",
}


def previewed(verdict: Verdict, reason: Reason | None) -> str:
    """Two sentences: what would become of a message, and why; `reason` None: its folder is not read."""
    return f"{_PREVIEWED[verdict]} {'Its folder is not read.' if reason is None else REASONS[reason]}"
