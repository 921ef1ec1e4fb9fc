"""May a client with this history be served? Pure. A client keeps the schema of the bundle that it replayed, and says so
by its history hash; what it is sent must fit that, or it must be told, not fed.

**equal**: it has what the database has · **compatible**: it is behind by migrations that leave replicas alone ·
**behind**: the database is, by migrations that the client has already · **incompatible**: a migration that it has not
breaks its copy · **unknown**: nobody here knows its history.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from medley.gate.records import Ledger

Verdict = Literal["equal", "compatible", "behind", "incompatible", "unknown"]


class ClientAnswer(NamedTuple):
    verdict: Verdict
    sentence: str

    @property
    def is_served(self) -> bool:
        return self.verdict in ("equal", "compatible")


def judge_client(asked: str, ledger: Ledger, known: Sequence[str] = ()) -> ClientAnswer:
    """`asked`: the client's history hash. `known`: the hashes of the bundle that this build ships, oldest first."""
    hashes = [row.history for row in ledger.applied]
    if asked == (ledger.history or ""):
        return ClientAnswer("equal", "the client has the schema that the database has")
    if asked and asked not in hashes:
        return _elsewhere(asked, ledger, known)
    unseen = ledger.applied[hashes.index(asked) + 1 :] if asked else ledger.applied
    for row in unseen:
        if row.compat is None:
            return ClientAnswer(
                "incompatible", f"{row.filename} is not in the client, and nobody has classified it; {_REMEDY}"
            )
        if row.compat.of("replica") == "breaking":
            finding = next(each for each in row.compat.findings if each.replica == "breaking")
            return ClientAnswer(
                "incompatible", f"{row.filename} is not in the client, and breaks it: {finding.sentence}; {_REMEDY}"
            )
    names = ", ".join(row.filename for row in unseen)
    return ClientAnswer("compatible", f"the client lacks {names}, which leaves its copy as good as it was")


_REMEDY = (
    "replay the newer bundle (GET /v1/schema/bundle) first, and keep what is not sent yet: the client's own writes "
    "survive a migration of its copy"
)


def _elsewhere(asked: str, ledger: Ledger, known: Sequence[str]) -> ClientAnswer:
    if asked in known:
        head = ledger.names[-1] if ledger.names else "none"
        return ClientAnswer(
            "behind",
            f"the client has migrations that the database has not (it is at {head}); "
            "wait until they are applied: `medley migrate apply`",
        )
    return ClientAnswer(
        "unknown",
        f"no migration here ends with the history {asked[:12]}…: it comes from another library, or from a history that "
        "was changed; make the client's copy anew from GET /v1/schema/bundle, once what it has not sent is safe",
    )
