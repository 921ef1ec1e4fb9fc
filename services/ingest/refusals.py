"""The refusals of ingest: reasons why a job will never succeed, said as found, needed, remedy.

Permanent
├── Refused     the job itself: its source, its size, its digest
└── Corrupt     the file: it is not what it says it is
"""

from medley.runtime.errors import Permanent


class Refused(Permanent):
    """The job asks for what it cannot have."""


class Corrupt(Permanent):
    """The file is not what its name, its mime or its first bytes say."""
