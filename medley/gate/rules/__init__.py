"""The rules of compatibility, by what changed. Pure; each was executed, and the tests execute it again."""
