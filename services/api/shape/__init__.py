"""The shape protocol over HTTP: plain ASGI, decisions pure, bodies copied from the log and never re-encoded."""
