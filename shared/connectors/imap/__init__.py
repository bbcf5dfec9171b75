"""Mailboxes over IMAP (RFC 3501 and its extensions): listed by UID, read without marking anything, deleted by UID."""
