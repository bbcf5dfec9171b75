"""The POP3 head (RFC 1939)."""
