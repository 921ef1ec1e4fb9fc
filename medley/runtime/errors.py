"""One tree of errors. A message says what was found, what was needed and what to do; `exit_code` is that of a process
which ends by it.

MedleyError
├── Permanent      repeating it will not help: refuse, park, or stop
│   ├── ConfigurationError   a setting or the environment is wrong
│   └── Incompatible         the schema is not one that this build can work with
└── Transient      repeating it later may help: retry with backoff, or leave it in the queue
    └── Unavailable          a server cannot be reached or is not ready
"""


class MedleyError(Exception):
    """Anything that Medley raises on purpose."""

    exit_code = 1


class Permanent(MedleyError):
    """Repeating the same thing will not help."""


class ConfigurationError(Permanent):
    """A setting or the environment is wrong."""


class Incompatible(Permanent):
    """The schema is not one that this build can work with."""

    exit_code = 4


class Transient(MedleyError):
    """The same thing may succeed later."""


class Unavailable(Transient):
    """A server cannot be reached or is not ready."""

    exit_code = 6
