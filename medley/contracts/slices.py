"""Slices: how shapes are shared out among the workers of sync. A shape's slice follows from its definition alone."""

SLICES = 16
"""At most so many workers have anything to do. Never changes: positions are kept by slice."""


def slice_of(handle: str) -> int:
    """The slice of a handle, or of the digest that it begins with.

    >>> slice_of("14247591413507384776-1795409638171003")
    8
    """
    return int(handle.partition("-")[0]) % SLICES
