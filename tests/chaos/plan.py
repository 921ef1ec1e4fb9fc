"""What a seed does, as data: how many processes and clients there are, and which faults come when. Pure."""

import random
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tests.chaos.shapes import SHAPES

Kind = (
    Literal["kill", "pause", "restart", "cut", "freeze", "slow", "clients stop", "large transaction"]
    | Literal["streams deleted", "slot dropped", "unpublished", "column added", "truncated"]
)
Manner = Literal["steady", "slow", "stopping", "anew"]

_STREAMS = ("CHANGES", "SHAPES", "KV_shapes", "KV_sync")
_TABLES = ("accounts", "items", "links")
_WEIGHTS: dict[Kind, float] = {
    **{"kill": 9, "pause": 4, "restart": 4, "cut": 3, "freeze": 2, "slow": 2, "clients stop": 1.5},
    **{"large transaction": 0.4, "streams deleted": 0.4, "slot dropped": 0.4, "unpublished": 0.4},
    **{"column added": 0.5, "truncated": 0.5},
}


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(Data):
    """`targets`: processes, links such as `sync0-nats`, streams, or a table. `at`, `seconds`: when, and how long."""

    kind: Kind
    at: float
    seconds: float = 0.0
    targets: tuple[str, ...] = ()

    def ends(self, tables: frozenset[str], *, named: bool) -> bool:
        """Whether it may end a shape that reads these tables; `named`: one that says which columns it shows."""
        match self.kind:
            case "streams deleted" | "slot dropped":
                return True
            case "unpublished" | "truncated":
                return bool(tables & set(self.targets))
            case "column added":
                return bool(tables & set(self.targets)) and not named
            case _:
                return False


class Client(Data):
    """A follower of one shape, at one of the APIs. `joins`: so many seconds after faults have begun; 0: before."""

    shape: int
    manner: Manner
    api: int
    joins: float = 0.0


class Plan(Data):
    seed: int
    syncs: int
    apis: int
    writers: int
    clients: tuple[Client, ...]
    faults: tuple[Fault, ...]
    renewals: bool = False
    """Whether a small log has outgrown its snapshot already."""

    @property
    def processes(self) -> tuple[str, ...]:
        return (*(f"sync{n}" for n in range(self.syncs)), *(f"api{n}" for n in range(self.apis)))

    @property
    def servers(self) -> tuple[str, ...]:
        """Whatever can be killed."""
        return (*self.processes, "nats", "postgres")

    @property
    def links(self) -> tuple[str, ...]:
        syncs = (f"sync{n}-{server}" for n in range(self.syncs) for server in ("nats", "postgres"))
        return (*syncs, *(f"api{n}-nats" for n in range(self.apis)))


def plan(seed: int, seconds: float) -> Plan:
    """The same for the same seed and seconds."""
    chance = random.Random(f"chaos-{seed}")  # noqa: S311 - has to be repeatable, not secret
    syncs, apis = chance.choice((1, 1, 2, 2, 2, 3)), chance.choice((1, 1, 1, 2))
    bare = Plan(seed=seed, syncs=syncs, apis=apis, writers=chance.choice((1, 2, 3)), clients=(), faults=())
    shapes = chance.sample(range(len(SHAPES)), chance.randint(10, len(SHAPES)))
    clients = tuple(_client(chance, shape, apis, seconds) for shape in shapes)
    count = chance.choice((1, 2, 2, 3, 3, 4))
    times = sorted(round(chance.uniform(0.2, seconds), 2) for _ in range(count))
    faults = tuple(_fault(chance, at, bare) for at in times)
    renewals = chance.random() < 0.6
    return bare.model_copy(update={"clients": clients, "faults": faults, "renewals": renewals})


def _client(chance: random.Random, shape: int, apis: int, seconds: float) -> Client:
    manners: tuple[Manner, ...] = ("steady", "steady", "steady", "slow", "stopping", "anew")
    joins = round(chance.uniform(0, seconds), 2) if chance.random() < 0.2 else 0.0
    return Client(shape=shape, manner=chance.choice(manners), api=chance.randrange(apis), joins=joins)


def _fault(chance: random.Random, at: float, within: Plan) -> Fault:
    kind = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    seconds = round(chance.choice((chance.uniform(0.05, 0.5), chance.uniform(0.2, 3))), 2)
    targets: tuple[str, ...] = ()
    match kind:
        case "kill":
            several = chance.choice((1, 1, 1, 1, 2, 3))
            targets, seconds = _some(chance, within.servers, several), round(chance.uniform(0.02, 0.8), 2)
        case "pause" | "restart":
            targets = _some(chance, within.servers, 1)
        case "cut" | "freeze" | "slow":
            targets = _some(chance, within.links, chance.choice((1, 1, 2)))
        case "streams deleted":
            targets = _STREAMS if chance.random() < 0.6 else _some(chance, _STREAMS, 1)
        case "unpublished" | "column added" | "truncated":
            targets, seconds = _some(chance, _TABLES, 1), 0.0
        case _:
            pass
    return Fault(kind=kind, at=at, seconds=seconds, targets=targets)


def _some(chance: random.Random, names: tuple[str, ...], count: int) -> tuple[str, ...]:
    return tuple(sorted(chance.sample(names, min(count, len(names)))))
