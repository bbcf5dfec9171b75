"""The IMAP head (RFC 3501)."""
