"""Compares Postgres with what was made of it: shapes, CHANGES, blobs, a client's copy. It writes nothing unless told to
repair, and then only asks the services to make something anew."""
