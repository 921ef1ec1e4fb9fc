"""What Postgres itself says of a clause: whether it takes it, for which rows it is true, on which it raises."""

import asyncpg

from medley.sql.quoting import quote_identifier

Rows = list[tuple[str | None, ...]]


def shown(columns: tuple[str, ...]) -> str:
    """Each column as its output function writes it; IS NULL would say so of a composite whose parts are null."""
    names = [quote_identifier(name) for name in columns]
    return ", ".join(f"CASE WHEN num_nulls({name}) = 0 THEN format('%s', {name}) END" for name in names)


class Truth:
    """One table and one session; clauses have their parameters written into them."""

    def __init__(self, session: asyncpg.Connection, table: str, history: str, alias: str, historic: str) -> None:
        """`historic`: the clause, its subqueries over every version of their rows."""
        self._session = session
        self._alias = quote_identifier(alias)
        self._table, self._history, self._historic = table, f"{history} AS {self._alias}", historic

    async def refusal(self, clause: str) -> str | None:
        """Why a SELECT with this clause is not even planned."""
        try:
            await self._session.execute(f"EXPLAIN SELECT 1 FROM {self._table} WHERE {clause}\n")
        except asyncpg.PostgresError as error:
            return f"{error.sqlstate} {error.message}"
        return None

    async def rows(self, clause: str, columns: tuple[str, ...]) -> Rows | str:
        """The rows, or why SELECT raised."""
        try:
            found = await self._session.fetch(f"SELECT {shown(columns)} FROM {self._table} WHERE ({clause}\n)")
        except asyncpg.PostgresError as error:
            return f"{error.sqlstate} {error.message}"
        return [tuple(row) for row in found]

    async def rows_apart(self, clause: str, columns: tuple[str, ...]) -> Rows:
        """The rows for which the clause is true by itself, without those on which it raises."""
        kept: Rows = []
        for ctid in await self._session.fetch(f"SELECT ctid::text FROM {self._table}"):
            relation = f"(SELECT * FROM {self._table} WHERE ctid = '{ctid[0]}' OFFSET 0) AS {self._alias}"
            try:
                query = f"SELECT {shown(columns)} FROM {relation} WHERE CASE WHEN ({clause}\n) THEN true END"
                kept += [tuple(row) for row in await self._session.fetch(query)]
            except asyncpg.PostgresError:
                continue
        return kept

    async def has_raised(self) -> bool:
        """Whether there was ever a version of a row on which the clause raises, however it is evaluated."""
        for query in (
            f"SELECT count(*) FROM {self._history} WHERE ({self._historic}\n)",
            f"SELECT count(CASE WHEN ({self._historic}\n) THEN 1 END) FROM {self._history}",
        ):
            try:
                await self._session.fetch(query)
            except asyncpg.PostgresError:
                return True
        return False
