"""The administrator's command line: `python -m admin`. A client of the HTTP API that knows nothing of what stands behind it."""
