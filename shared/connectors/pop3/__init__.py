"""POP3 (RFC 1939, 2449, 2595, 5034): the mailbox is one maildrop, which its server locks for as long as a session lasts."""
