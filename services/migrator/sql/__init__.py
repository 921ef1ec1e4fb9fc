"""The text of a migration: its tokens, statements, directives and faults."""
