"""Measurements of the path from an insert to a client. Never part of the test suite."""
