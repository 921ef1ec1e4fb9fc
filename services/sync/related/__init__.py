"""Clauses with subqueries: a change of one table moves rows of another into a shape, or out of it.

Postgres decides, now, in a snapshot that is a moment ahead of the change; `asof` undoes in each table what was
committed since, which the old rows in the stream make exact. So nothing is kept between two changes, and nothing has to
be built up again after a restart.
"""
