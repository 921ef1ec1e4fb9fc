"""Clauses that are more than equalities: Postgres reads them, and Postgres decides what its index cannot.

`analysis` asks Postgres what a clause is, `template` takes its constants out, `statement` writes the one question of a
round, `evaluation` asks it and finds who is to blame when it fails, `verdicts` keep the answers, `tier` is all of
that for the shapes of a worker.
"""
