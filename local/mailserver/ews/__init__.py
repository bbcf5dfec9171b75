"""The Exchange Web Services head: SOAP in front of the mail store ([MS-OXWSCORE] and its siblings)."""
