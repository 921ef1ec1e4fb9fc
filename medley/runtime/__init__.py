"""How any service lives: settings, logs, bus, database, gate, start and stop. No domain word may appear here."""
