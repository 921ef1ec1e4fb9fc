"""Real servers from wheels, on loopback: Postgres, NATS and SeaweedFS, each usable on its own."""
