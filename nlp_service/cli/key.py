"""`themes key`: makes, lists and revokes API keys, on the store itself."""

from datetime import UTC, datetime, timedelta

import click

from nlp_service.settings import Settings
from nlp_service.store.database import open_store
from nlp_service.store.keys import Key, KeyRing, Scope, read_secret

_ACTOR = "cli"


@click.group()
def key() -> None:
    """Make, list and revoke the API keys of the service.

    \b
    Example:
      themes key create "survey tool" --scope submit --days 365
    """


@key.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice([s.value for s in Scope]))
@click.option("--consultation", metavar="NAME", help="The only consultation that the key opens. [default: all]")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is valid. [default: for ever]")
def create(name: str, scopes: tuple[str, ...], consultation: str | None, days: int | None) -> None:
    """Make a key and print it, this once.

    \b
    Example:
      themes key create "survey tool" --scope submit --consultation "Wave 3"
    """
    lifetime = None if days is None else timedelta(days=days)
    made, text = _ring().make_key(
        name, {Scope(s) for s in scopes}, actor=_ACTOR, consultation=consultation, lifetime=lifetime
    )
    click.echo(f"key {made.id}; it is not shown again:", err=True)
    click.echo(text)


@key.command("list")
def list_() -> None:
    """List keys, without their text.

    \b
    Example:
      themes key list
    """
    now = datetime.now(UTC)
    for one in _ring().list_keys():
        until = one.expires_at.date().isoformat() if one.expires_at else "for ever"
        state = until if one.is_valid(now) else "revoked" if one.revoked_at else "past its end"
        click.echo(f"{one.id}  {state:<12}  {' '.join(sorted(one.scopes)):<24}  {_where(one):<20}  {one.name}")


@key.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key: it opens nothing from now on.

    \b
    Example:
      themes key revoke 4f1c2a9b8d7e6f50
    """
    click.echo(f"revoked {_ring().revoke(key_id, actor=_ACTOR).id}", err=True)


def _where(one: Key) -> str:
    return one.consultation or "(all)"


def _ring() -> KeyRing:
    settings = Settings()
    return KeyRing(open_store(settings.store), read_secret(settings.secret_file))
