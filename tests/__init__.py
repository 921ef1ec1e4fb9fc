"""The tests: support, unit, integration, e2e, bench."""
