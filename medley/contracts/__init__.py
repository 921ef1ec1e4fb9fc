"""What the services say to each other: subjects, streams, messages. Pydantic only, no input or output."""
