"""Addresses as an envelope and a header carry them (RFC 5321 section 4.1.2, RFC 6531), or that they cannot be written at all.

Domains beyond ASCII are written as IDNA has it, which every server takes; a local part beyond ASCII only one with SMTPUTF8
takes.
"""

import re

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u00a0-\U0010ffff-]"
_LOCAL = re.compile(rf'{_ATEXT}+(?:\.{_ATEXT}+)*|"(?:[ !#-\[\]-~\u00a0-\U0010ffff]|\\[ -~])*"')
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
_LITERAL = re.compile(r"\[[A-Za-z0-9:._-]{1,100}\]")
_LONGEST = 320
"""Characters: 64 of a local part, 255 of a domain."""


def needs_utf8(address: str) -> bool:
    """Whether only a server with SMTPUTF8 takes it."""
    return not address.rpartition("@")[0].isascii()


def written_address(address: str, *, utf8: bool) -> str | None:
    """In ASCII, but for the local part where `utf8`. None where it has no such form: what is no address has none."""
    local, _, domain = address.strip().rpartition("@")
    if len(address) > _LONGEST or not _LOCAL.fullmatch(local) or not local.replace(" ", "").isprintable():
        return None
    written = ascii_domain(domain)
    return None if written is None or not (utf8 or local.isascii()) else f"{local}@{written}"


def ascii_domain(domain: str) -> str | None:
    """The domain in the form that DNS has it; None where there is none."""
    if domain.isascii():
        return domain if _NAME.fullmatch(domain) or _LITERAL.fullmatch(domain) else None
    import idna

    try:
        written = idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:  # all that it raises
        return None
    return written if _NAME.fullmatch(written) else None
