"""`medley status`: is the stack of a home well? The exit code says it too."""

import asyncio
import json
import sys
from pathlib import Path

import click
import httpx

from medley.cli.home import Home
from medley.cli.options import home_option, json_option
from medley.cli.settings import CliSettings


@click.command()
@home_option
@json_option
def status(home: Path, as_json: bool) -> None:
    """Health of the stack, and whether its schema fits; exit code 0 when every process runs and the API is active."""
    state = Home(home).running()
    health = asyncio.run(_health(state["api"]))
    schema = asyncio.run(_schema(state["api"]))
    missing = sorted(_expected(state) - set(state["pids"]))
    well = health == "active" and not missing
    if as_json:
        click.echo(
            json.dumps({"well": well, "health": health, "schema": schema, "missing": missing, "pids": state["pids"]})
        )
    else:
        click.echo(f"api       {health}  {state['api']}")
        click.echo(f"schema    {schema['verdict']}: {schema['sentence']}")
        for name in sorted(_expected(state)):
            click.echo(f"{name:<9} {'running, pid ' + str(state['pids'][name]) if name not in missing else 'down'}")
    sys.exit(0 if well else 1)


def _expected(state: dict[str, object]) -> set[str]:
    """The services, and every embedded server (one has a version exactly when it is embedded)."""
    versions = state["versions"]
    assert isinstance(versions, dict)
    return {"ingest", "sync", "api"} | {name for name in ("postgres", "nats", "s3") if versions.get(name)}


async def _health(api: str) -> str:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            return str((await client.get(f"{api}/v1/health")).json()["status"])
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return f"no answer ({type(error).__name__})"


async def _schema(api: str) -> dict[str, str]:
    """The gate's verdict on the API, and its sentence."""
    secret = CliSettings().api_secret
    headers = {"authorization": f"Bearer {secret.get_secret_value()}"} if secret else {}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5, headers=headers) as client:
            answer = await client.get(f"{api}/v1/schema")
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                return {"verdict": "unknown", "sentence": "the API wants its secret: set API_SECRET"}
            value = answer.json()
            return {"verdict": value["verdict"], "sentence": value["sentence"]}
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return {"verdict": "unknown", "sentence": f"no answer ({type(error).__name__})"}
