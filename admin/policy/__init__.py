"""The configuration as a file: exported, compared, applied."""
