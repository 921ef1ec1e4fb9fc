"""How any service lives: settings, logs, bus, database, start and stop. No domain word may appear here."""
