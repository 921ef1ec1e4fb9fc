"""The contracts of services, generated from their named SQL."""
