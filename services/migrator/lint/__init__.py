"""What a migration does that is allowed and unwise."""
