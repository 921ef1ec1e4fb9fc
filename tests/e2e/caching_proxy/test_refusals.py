"""What a proxy must keep from the wrong people, and from everyone: who has no secret, other pages, errors."""

import secrets

import asyncpg
import httpx
import pytest

from medley.cli.embedded.ports import free_port
from tests.e2e.caching_proxy.asking import Proxied
from tests.support.library import until
from tests.support.nginx import running_nginx
from tests.support.shape_reads import shape

_SECRET = "s3cret"
_BEARER = {"authorization": f"Bearer {_SECRET}"}


async def test_errors_are_never_kept(proxied: Proxied, http: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    name = f"t_{secrets.token_hex(4)}"
    assert (await shape(http, name)).status_code == 400
    await database.execute(f"CREATE TABLE {name} (id int8 PRIMARY KEY)")
    assert (await shape(http, name)).status_code == 200

    await proxied.library.kill("sync")
    assert (await shape(http, name, columns="id")).status_code == 503
    await proxied.library.start("sync")
    await proxied.library.active()
    assert (await shape(http, name, columns="id")).status_code == 200


async def test_who_has_no_secret_gets_nothing_that_was_kept(
    proxied: Proxied, table: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port, name = free_port(), "api-with-secret"
    await proxied.library.start(name, "api", API_PORT=str(port), API_SECRET=_SECRET)
    try:
        async with running_nginx(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("secret")) as nginx:
            with_secret = Proxied(proxied.library, nginx)
            async with nginx.client() as http:
                await _serves(http, table)
                await _only_to_who_has_it(with_secret, http, table, {"headers": _BEARER})
                await _only_to_who_has_it(with_secret, http, table, {"secret": _SECRET})
    finally:
        await proxied.library.kill(name)


async def _serves(http: httpx.AsyncClient, table: str) -> None:
    async def there() -> bool:
        return (await shape(http, table, headers=_BEARER, columns="id")).status_code == 200

    await until(there, "the API with a secret serves")


async def _only_to_who_has_it(
    proxied: Proxied, http: httpx.AsyncClient, table: str, right: dict[str, str | dict[str, str]]
) -> None:
    before = len(await proxied.origin(table))
    for _ in range(2):
        assert (await shape(http, table, **right)).status_code == 200
    assert len(await proxied.origin(table)) == before + 1, "the second answer was a kept one"
    for wrong in ({}, {"headers": {"authorization": "Bearer wrong"}}, {"secret": "wrong"}):
        refused = await shape(http, table, **wrong)
        assert (refused.status_code, refused.headers["cache-control"]) == (401, "no-store")
    assert (await shape(http, table, **right)).status_code == 200


async def test_each_page_is_named_in_its_own_answer(http: httpx.AsyncClient, table: str) -> None:
    pages = ["http://one.example", "http://two.example"]
    for _ in range(2):
        for page in pages:
            answer = await shape(http, table, headers={"origin": page})
            assert answer.headers["access-control-allow-origin"] == page
            assert "electric-handle" in answer.headers["access-control-expose-headers"]
        assert (await shape(http, table)).headers["access-control-allow-origin"] == "*"
    preflight = await http.options("/v1/shape", headers={"origin": pages[0]})
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, pages[0])
