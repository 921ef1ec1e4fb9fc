"""What the gate says to a build, of databases that a migrator, or a hand, has really changed."""

from pathlib import Path

import pytest
import pytest_asyncio

from medley.gate.judge import EXIT_CODES, Answer, Build, Verdict
from medley.gate.needs import Column, Needs, Write
from medley.runtime.errors import Permanent
from tests.integration.gate.histories import History
from tests.support.databases import MakeDatabase

SCHEMA = """
CREATE TABLE songs (id serial PRIMARY KEY, title text NOT NULL, year int, code text UNIQUE,
                    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'done')), spare text);
CREATE TABLE other (id int PRIMARY KEY, title text NOT NULL);
INSERT INTO songs (title, code) VALUES ('one', 'c1');
"""
TEXT, MAYBE = Column(type="text", nullable=False), Column(type="text", nullable=True)
YEAR = Column(type="integer", nullable=True)
READS = Needs(service="api", reads={"public.songs": {"title": TEXT, "state": TEXT, "year": YEAR}})
WRITES = Needs(
    service="ingest",
    writes={
        "public.songs": Write(
            columns={"title": TEXT, "code": MAYBE, "year": YEAR}, inserts=(("title", "code"),), arbiters=(("code",),)
        )
    },
)


@pytest_asyncio.fixture
async def history(new_database: MakeDatabase, tmp_path: Path) -> History:
    """With a first migration."""
    made = History(await new_database(), tmp_path)
    await made.migrated(SCHEMA)
    return made


def assert_says(answer: Answer, verdict: Verdict, *words: str) -> None:
    assert answer.verdict == verdict, answer
    for word in words:
        assert word in answer.sentence


def test_each_verdict_has_its_exit_code() -> None:
    assert EXIT_CODES == {
        "equal": 0, "compatible": 0, "behind": 3, "incompatible": 4, "drift": 5, "unreachable": 6,
    }  # fmt: skip


async def test_the_very_history_is_equal(history: History) -> None:
    assert_says(await history.answer(Build(history.shipped(), READS)), "equal", "1600000001_change.sql")


async def test_an_unseen_migration_that_breaks_nobody(history: History) -> None:
    old = history.shipped()
    name = await history.migrated(
        "ALTER TABLE songs ADD stars int; CREATE INDEX ON songs (year); CREATE TABLE more ();"
    )
    for needs in (READS, WRITES, None):
        assert_says(await history.answer(Build(old, needs)), "compatible", name, old[-1].filename)
    assert_says(await history.answer(Build(history.shipped(), READS)), "equal")


async def test_a_build_that_is_ahead_waits(history: History) -> None:
    name = history.add("ALTER TABLE songs ADD stars int;")
    build = Build(history.shipped(), READS)
    assert_says(await history.answer(build), "behind", name, "1 not applied", "medley migrate apply")
    await history.apply()
    assert_says(await history.answer(build), "equal")


async def test_a_database_that_no_migrator_has_seen(new_database: MakeDatabase, tmp_path: Path) -> None:
    history = History(await new_database(), tmp_path)
    history.add(SCHEMA)
    assert_says(
        await history.answer(Build(history.shipped())), "behind", "no migrator has seen", "medley migrate apply"
    )


async def test_what_was_started_and_not_ended(history: History) -> None:
    await history.by_hand("INSERT INTO songs (title) VALUES ('one')")
    name = history.add("-- migrate: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY once ON songs (title);")
    build = Build(history.shipped(), READS)
    with pytest.raises(Permanent):
        await history.apply()
    assert_says(await history.answer(build), "behind", name, "started at", f"medley migrate resolve {name} --applied")


async def test_a_build_with_another_text_of_a_file(history: History) -> None:
    (history.folder / "1600000001_change.sql").write_text(SCHEMA.replace("spare", "other"))
    answer = await history.answer(Build(history.shipped(), READS))
    assert_says(answer, "incompatible", "1600000001_change.sql applied with another text", "deploy the build")


async def test_a_migration_that_nobody_has_classified(history: History) -> None:
    old = history.shipped()
    name = await history.migrated("ALTER TABLE songs ADD stars int;")
    await history.by_hand(f"UPDATE schema_versions SET compat = NULL WHERE filename = '{name}'")
    answer = await history.answer(Build(old, READS))
    assert_says(answer, "incompatible", name, "nobody has classified", "deploy a build")


# What an unseen migration does, and to whom: reader, writer; with words of the sentence.
BREAKS = {
    "a column is gone": ("ALTER TABLE songs DROP year", "reader writer", "no column public.songs.year; "),
    "a column has another name": ("ALTER TABLE songs RENAME title TO name", "reader writer", "public.songs.title; "),
    "a column may be NULL": ("ALTER TABLE songs ALTER title DROP NOT NULL", "reader", "public.songs.title without NOT"),
    "a column takes no NULL": ("ALTER TABLE songs ALTER code SET NOT NULL", "writer", "songs.code with NOT NULL"),
    "a column has another type": (
        "ALTER TABLE songs ALTER year TYPE text", "reader writer", "public.songs.year of type text",
    ),
    "a column must be filled": (
        "ALTER TABLE songs ADD stars int; UPDATE songs SET stars = 0; ALTER TABLE songs ALTER stars SET NOT NULL",
        "writer", "public.songs.stars with NOT NULL and no default",
    ),
    "no arbiter is left": ("ALTER TABLE songs DROP CONSTRAINT songs_code_key", "writer", "on (code)"),
    "the arbiter waits for the end of the transaction": (
        "ALTER TABLE songs DROP CONSTRAINT songs_code_key, ADD UNIQUE (code) DEFERRABLE", "writer", "on (code)",
    ),
    "a value comes that nobody knows": (
        "ALTER TABLE songs DROP CONSTRAINT songs_state_check", "reader", "songs_state_check of public.songs (state)",
    ),
    "what is written may be refused": (
        "ALTER TABLE songs ADD CHECK (year > 1800)", "writer", "is added to public.songs (year): CHECK ((year > 1800))",
    ),
    "what is left out is refused": (
        "ALTER TABLE songs ADD CHECK (spare IS NOT NULL) NOT VALID", "writer", "is added to public.songs (spare)",
    ),
    "rows are hidden": ("ALTER TABLE songs ENABLE ROW LEVEL SECURITY", "reader writer", "security of public.songs"),
    "columns swap names": (
        "ALTER TABLE songs RENAME code TO x; ALTER TABLE songs RENAME title TO code; "
        "ALTER TABLE songs RENAME x TO title", "reader writer", "public.songs.",
    ),
    "tables swap names": (
        "ALTER TABLE songs RENAME TO x; ALTER TABLE other RENAME TO songs; ALTER TABLE x RENAME TO other",
        "reader writer", "public.songs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
async def test_an_unseen_migration_that_breaks_what_is_used(name: str, history: History) -> None:
    text, roles, said = BREAKS[name]
    old = history.shipped()
    await history.migrated(f"{text};")
    for role, needs in (("reader", READS), ("writer", WRITES)):
        answer = await history.answer(Build(old, needs))
        assert answer.is_open == (role not in roles.split()), answer
        if not answer.is_open:
            assert_says(answer, "incompatible", said, "build")
        assert (await history.answer(Build(old, None, (role,)))).is_open == answer.is_open  # type: ignore[arg-type]


async def test_what_a_build_does_not_use_may_break(history: History) -> None:
    old = history.shipped()
    await history.migrated("DROP TABLE other; ALTER TABLE songs DROP spare;")
    for needs in (READS, WRITES):
        assert_says(await history.answer(Build(old, needs)), "compatible")
    answer = await history.answer(Build(old))
    assert_says(answer, "incompatible", "table public.other is dropped", "column public.songs.spare is dropped")


async def test_what_a_later_migration_mends_is_mended(history: History) -> None:
    old = history.shipped()
    await history.migrated("ALTER TABLE songs DROP year;")
    assert (await history.answer(Build(old, READS))).verdict == "incompatible"
    await history.migrated("ALTER TABLE songs ADD year int;")
    for needs in (READS, WRITES):
        assert_says(await history.answer(Build(old, needs)), "compatible")


ACCEPTED = '-- compat: accept writer-breaking reason="every writer fills it"\n'


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE songs ADD CHECK (year > 1800);",
        "ALTER TABLE songs ALTER code SET NOT NULL;",
    ],
)
async def test_what_the_author_accepted_lets_writers_through(text: str, history: History) -> None:
    old = history.shipped()
    await history.migrated(ACCEPTED + text)
    assert_says(await history.answer(Build(old, WRITES)), "compatible")
    assert_says(await history.answer(Build(old, None, ("writer",))), "compatible")


async def test_what_cannot_work_is_not_accepted_away(history: History) -> None:
    old = history.shipped()
    await history.migrated(ACCEPTED + "ALTER TABLE songs DROP year;")
    assert_says(await history.answer(Build(old, WRITES)), "incompatible", "no column public.songs.year")
    await history.migrated('-- compat: accept reader-breaking reason="x"\nALTER TABLE songs DROP code;')
    assert_says(await history.answer(Build(old, READS)), "incompatible", "no column public.songs.year")


async def test_a_change_by_hand_that_harms_nobody_is_drift(history: History) -> None:
    await history.by_hand("CREATE INDEX by_hand ON songs (year)", "CREATE VIEW old AS\nSELECT id,\n title\nFROM songs")
    answer = await history.answer(Build(history.shipped(), READS))
    assert_says(
        answer, "drift", "+ column public.old.title", "+ index public.songs.by_hand", "put the change into a migration"
    )
    assert answer.is_open and "\n" not in answer.sentence


@pytest.mark.parametrize("name", BREAKS)
async def test_a_change_by_hand_that_breaks_what_is_used(name: str, history: History) -> None:
    text, roles, _ = BREAKS[name]
    await history.by_hand(text)
    for role, needs in (("reader", READS), ("writer", WRITES)):
        for build in (Build(history.shipped(), needs), Build(history.shipped(), None, (role,))):  # type: ignore[arg-type]
            answer = await history.answer(build)
            assert answer.verdict == ("incompatible" if role in roles.split() else "drift"), answer
    assert (await history.answer(Build(history.shipped(), Needs(service="sync")))).verdict == "drift"


async def test_a_replica_with_the_history_of_its_bundle(history: History) -> None:
    bundle = history.shipped()
    for build in (Build(bundle, None, ("replica",)), Build(bundle, READS, ("replica",))):
        assert_says(await history.answer(build), "equal")
    await history.migrated("ALTER TABLE songs ADD CHECK (year > 1800); ALTER TABLE songs ADD stars int;")
    for build in (Build(bundle, None, ("replica",)), Build(bundle, READS, ("replica",))):
        assert_says(await history.answer(build), "compatible")
    await history.migrated("ALTER TABLE songs ALTER year TYPE bigint;")
    for build in (Build(bundle, None, ("replica",)), Build(bundle, READS, ("replica",))):
        answer = await history.answer(build)
        assert_says(answer, "incompatible", "column public.songs.year changes from integer to bigint", "deploy a build")
    assert_says(await history.answer(Build(bundle, READS)), "compatible")
    copied = Needs(service="browser", reads={"public.other": {"title": TEXT}})
    assert_says(await history.answer(Build(bundle, copied, ("replica",))), "compatible")


async def test_a_restored_database_is_the_same(history: History, new_database: MakeDatabase) -> None:
    await history.migrated("ALTER TABLE songs DROP spare; ALTER TABLE songs ADD spare int;")
    there = await history.restored(await new_database())
    build = Build(history.shipped(), READS)
    assert_says(await there.answer(build), "equal")
    await there.by_hand("CREATE INDEX by_hand ON songs (year)")
    answer = await there.answer(Build(history.shipped()))
    assert_says(answer, "drift", "by_hand")
    await there.by_hand("ALTER TABLE songs RENAME TO tracks")
    answer = await there.answer(build)
    assert_says(answer, "incompatible", "no table public.songs")
    assert "made anew" not in answer.sentence and "public.other" not in answer.sentence
