"""SMTP (RFC 5321): mail from strangers, and from who signed in (RFC 6409)."""
