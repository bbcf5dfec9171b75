"""Sending over SMTP submission (RFC 6409, 5321): MIME from `shared.connectors.mime`, guarded connections from `internet`."""
