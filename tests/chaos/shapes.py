"""The tables that are written and the shapes that are followed, with the row of each by which clients are waited for.

A marker row satisfies its shape's clause whatever is written, since nobody else touches it. Its key is far from others.
"""

from dataclasses import dataclass

from medley.client.http import Message

GROUPS, ACCOUNTS, PLACES, ITEMS = 4, 24, 5, 60
_FAR = 1_000_000

TABLES = f"""
CREATE SCHEMA chaos;
CREATE TABLE chaos.accounts (id int PRIMARY KEY, grp int NOT NULL, balance int NOT NULL, turn int NOT NULL,
    note text, mark int);
CREATE TABLE chaos.items (id int PRIMARY KEY, kind text, size numeric, title text, tags text[], doc jsonb, mark int);
CREATE TABLE chaos.links (item int, place int, weight int, mark int, PRIMARY KEY (item, place));
CREATE INDEX ON chaos.links (place, item);
INSERT INTO chaos.accounts SELECT n, n % {GROUPS}, 0, 0 FROM generate_series(0, {ACCOUNTS - 1}) n;
INSERT INTO chaos.items SELECT n, 'song', n, 'blue ' || n, '{{live}}', '{{"bpm": 120}}' FROM generate_series(0, 29) n;
INSERT INTO chaos.links SELECT n, n % {PLACES}, n FROM generate_series(0, 29) n;
"""

_ITEM = {"kind": "'song'", "size": "12.5", "title": "'blue'", "tags": "'{live}'", "doc": """'{"bpm": 120}'"""}
_LINK = {"weight": "1"}


@dataclass(frozen=True)
class Followed:
    """`sums`: balances are zero together in it, since transfers stay within it. `beside`: what its marker needs
    in other tables."""

    table: str
    where: str | None = None
    columns: tuple[str, ...] | None = None
    replica: str = "default"
    sums: bool = False
    place: int = 0
    group: int = 0
    beside: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return ("item", "place") if self.table == "chaos.links" else ("id",)

    @property
    def tables(self) -> frozenset[str]:
        """Their names, without the schema."""
        read = (name for name in ("items", "links") if f"chaos.{name}" in (self.where or ""))
        return frozenset((self.table.split(".")[1], *read))

    def marker(self, number: int, mark: int) -> list[str]:
        """Statements that write the marker of the shape of that number."""
        far = _FAR + number
        match self.table:
            case "chaos.accounts":
                row = {"id": f"{far}", "grp": f"{self.group}", "balance": "0", "turn": "0"}
            case "chaos.items":
                row = {"id": f"{far}", **_ITEM}
            case "chaos.links":
                row = {"item": f"{far}", "place": f"{self.place}", **_LINK}
            case _:
                row = {"id": f"'00000000-0000-4000-8000-{far:012d}'", "client_id": "'ann'"}
                row |= {"metadata": """'{"mood": "calm"}'""", "title": f"'mark {mark}'"}
        shown = "title" if self.table == "public.playlists" else "mark"
        row |= {"mark": f"{mark}"} if shown == "mark" else {}
        written = f"INSERT INTO {self.table} ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        upsert = f"{written} ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {shown} = EXCLUDED.{shown}"
        return [self.beside.format(far=far), upsert] if self.beside else [upsert]


def mark_of(message: Message) -> int:
    """The marker that an entry shows; 0 when it is of another row."""
    value = message.get("value", {})
    if value.get("mark") is not None:
        return int(value["mark"])
    title = value.get("title") or ""
    return int(title[5:]) if title.startswith("mark ") else 0


_LINKED = "INSERT INTO chaos.links (item, place) VALUES ({far}, 3) ON CONFLICT DO NOTHING"
_A_SONG = "INSERT INTO chaos.items (id, kind) VALUES ({far}, 'song') ON CONFLICT DO NOTHING"

SHAPES = (
    Followed("chaos.accounts", sums=True),
    Followed("chaos.accounts", replica="full", sums=True),
    Followed("chaos.accounts", "grp = 1", sums=True, group=1),
    Followed("chaos.accounts", "grp IN (2, 3)", sums=True, group=2),
    Followed("chaos.accounts", "turn % 2 = 0 AND grp = 0"),
    Followed("chaos.items"),
    Followed("chaos.items", columns=("id", "title", "mark")),
    Followed("chaos.items", "kind = 'song' AND size > 10", columns=("id", "kind", "size", "mark"), replica="full"),
    Followed("chaos.items", "title LIKE 'b%'"),
    Followed("chaos.items", "tags @> '{live}'"),
    Followed("chaos.items", """doc @> '{"bpm": 120}'"""),
    Followed("chaos.items", "title ~ '^[ab]' OR size IS NULL"),
    Followed("chaos.items", "id IN (SELECT item FROM chaos.links WHERE place = 3)", beside=_LINKED),
    Followed("chaos.links"),
    Followed("chaos.links", "place = 2", place=2),
    Followed("chaos.links", "item IN (SELECT id FROM chaos.items WHERE kind = 'song')", beside=_A_SONG),
    Followed("public.playlists"),
    Followed("public.playlists", "client_id = 'ann' AND metadata ->> 'mood' = 'calm'"),
)
