"""What POP3 and IMAP have in common: guarded connections, and who signs in."""
