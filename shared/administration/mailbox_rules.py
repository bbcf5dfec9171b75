"""What a valid mailbox is: which methods go with whose mailbox and with which server, and whose credentials it needs."""

from dataclasses import replace

from shared.administration import rules
from shared.administration.profile_rules import EXCHANGE
from shared.administration.writing import NewSecrets, check_secrets
from shared.domain.choices import ActDeliveryMethod, CredentialSource, EmailDeliveryMethod, OwnerKind
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, for_outgoing
from shared.domain.consents import needs_consent
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ProfileId
from shared.domain.ranges import MAILBOX_USERNAME

SECRET = "credentials/secret"  # noqa: S105 - the pointer of a field

_OUTGOING = (EmailDeliveryMethod.NONE, EmailDeliveryMethod.OUTLOOK, EmailDeliveryMethod.SERVER_SIDE)


def valid_mailbox(mailbox: Mailbox) -> Mailbox:
    """The mailbox as it is stored, as far as its own record tells. Raises InvalidRecord."""
    _check_methods(mailbox)
    if mailbox.process_and_delete and _is_of_user(mailbox):
        raise InvalidRecord(
            "process_and_delete",
            "mail of a user's own mailbox is never deleted",
            "Set it to false; queues and forward mailboxes may have it.",
        )
    username = mailbox.credentials.username
    return replace(
        mailbox,
        name=rules.text("name", mailbox.name),
        address=rules.email_address("address", mailbox.address),
        process_email_received_after=rules.start_date("process_email_received_after", mailbox.process_email_received_after),
        credentials=Credentials(
            username=None if username is None else rules.text("credentials/username", username, MAILBOX_USERNAME.high)
        ),
    )


def check_profile(present: Mailbox | None, mailbox: Mailbox, profile: EmailServerProfile, *, has_secret: bool) -> None:
    """Whether the mailbox can be on this profile. Raises InvalidRecord.

    What stands already is not questioned again: the profile may have been changed since.
    """
    if mailbox.act_method is ActDeliveryMethod.SERVER_SIDE and profile.server_type not in EXCHANGE:
        raise InvalidRecord(
            "act_method",
            f"{profile.server_type.name.lower()} has no appointments, contacts and tasks",
            "Choose none, or a profile of an Exchange server.",
        )
    needs = _signs_in_itself(mailbox, profile)
    same = (mailbox.profile_id, mailbox.credentials.username, has_secret)
    is_same = present is not None and _sign_in(present) == same and _signs_in_itself(present, profile) == needs
    if is_same or not needs:
        return
    if mailbox.credentials.username is None:
        raise _missing("credentials/username", profile.id)
    if not has_secret:
        raise _missing("credentials/secret", profile.id)


def check_mailbox_secrets(secrets: NewSecrets) -> None:
    """Raises InvalidRecord."""
    check_secrets(secrets)
    for pointer in secrets.keys() - {SECRET}:
        raise InvalidRecord(pointer, "a mailbox signs in with a password only", f"Remove {pointer}.")


def _signs_in_itself(mailbox: Mailbox, profile: EmailServerProfile) -> bool:
    """With a password of its own, to be read or to send."""
    used = [profile]
    if mailbox.outgoing_method is EmailDeliveryMethod.SERVER_SIDE:
        used.append(for_outgoing(profile))
    return any(each.credential_source is CredentialSource.MAILBOX and not needs_consent(each) for each in used)


def _sign_in(mailbox: Mailbox) -> tuple[ProfileId | None, str | None, bool]:
    return mailbox.profile_id, mailbox.credentials.username, mailbox.credentials.secret is not None


def _check_methods(mailbox: Mailbox) -> None:
    if mailbox.outgoing_method not in _OUTGOING:
        raise InvalidRecord("outgoing_method", "nothing is sent through a forward mailbox", "Choose none or server_side.")
    if mailbox.owner is None:
        _check_forward_mailbox(mailbox)
    elif mailbox.act_method is ActDeliveryMethod.SERVER_SIDE and not _is_of_user(mailbox):
        raise InvalidRecord("act_method", "a queue has no appointments, contacts and tasks", "Choose none.")


def _check_forward_mailbox(mailbox: Mailbox) -> None:
    fixed = {
        "incoming_method": (mailbox.incoming_method, EmailDeliveryMethod.SERVER_SIDE),
        "outgoing_method": (mailbox.outgoing_method, EmailDeliveryMethod.NONE),
        "act_method": (mailbox.act_method, ActDeliveryMethod.NONE),
    }
    for field, (method, only) in fixed.items():
        if method is not only:
            name = only.name.lower()
            raise InvalidRecord(field, f"a forward mailbox has {field} {name}", f"Set {field} to {name}, or leave it out.")


def _is_of_user(mailbox: Mailbox) -> bool:
    return mailbox.owner is not None and mailbox.owner.kind is OwnerKind.USER


def _missing(field: str, profile_id: ProfileId) -> InvalidRecord:
    return InvalidRecord(
        field,
        f"on profile {profile_id} every mailbox signs in with its own credentials",
        f"Add {field} together with profile_id.",
    )
