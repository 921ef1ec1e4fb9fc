"""`python -m medley.contracts [--json]`: print the table of subjects, streams and messages."""

import sys

from medley.contracts.table import as_json, as_text

sys.stdout.write(as_json() if "--json" in sys.argv[1:] else as_text() + "\n")
