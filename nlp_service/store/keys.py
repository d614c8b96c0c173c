"""API keys: made once and shown once, kept as a keyed hash, with scopes, perhaps a consultation and an end."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Row, func, insert, or_, select, update

from models.vocabulary import ThemesError
from nlp_service.store import tables
from nlp_service.store.audit import add_entry
from nlp_service.store.batches import add_consultation
from nlp_service.store.database import Database
from nlp_service.store.values import KeyId

PREFIX: Final = "themes"
SECRET_BYTES: Final = 32
_SHAPE: Final = re.compile(rf"{PREFIX}_([0-9a-f]{{16}})_([A-Za-z0-9_-]{{43}})")


class Scope(StrEnum):
    """What a key may do. `admin` may do everything."""

    CLASSIFY = "classify"
    SUBMIT = "submit"
    ANNOTATE = "annotate"
    PUBLISH = "publish"
    ADMIN = "admin"


class KeyNotFoundError(ThemesError):
    """There is no key of that id."""

    code = "key_not_found"


class SecretError(ThemesError):
    """The file with the service's secret cannot be used."""

    code = "secret_refused"


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret."""

    id: KeyId
    name: str
    scopes: frozenset[Scope]
    consultation: str | None
    """The only consultation that the key opens; None: all."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the key opens anything now."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may(self, scope: Scope) -> bool:
        """Return whether the key has a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class KeyRing:
    """The keys of a store. Safe to share between threads.

    Parameters
    ----------
    database
        The store.
    secret
        What hashes are keyed with: without it, a stolen store opens nothing.
    """

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database, self._secret = database, secret

    def make_key(
        self,
        name: str,
        scopes: Collection[Scope],
        *,
        actor: str,
        consultation: str | None = None,
        lifetime: timedelta | None = None,
    ) -> tuple[Key, str]:
        """Return a new key and its text, which nobody can be shown again."""
        key_id, words, now = KeyId(secrets.token_hex(8)), secrets.token_urlsafe(SECRET_BYTES), datetime.now(UTC)
        expires_at = None if lifetime is None else now + lifetime
        with self._database.write() as connection:
            if consultation is not None:
                add_consultation(connection, consultation)
            connection.execute(
                insert(tables.keys).values(
                    id=key_id,
                    name=name,
                    scopes=sorted(scopes),
                    consultation=consultation,
                    hash=self._hash(words),
                    created_at=now,
                    expires_at=expires_at,
                )
            )
            add_entry(connection, actor, "key.make", key_id, scopes=" ".join(sorted(scopes)))
        key = Key(key_id, name, frozenset(scopes), consultation, now, expires_at, None)
        return key, f"{PREFIX}_{key_id}_{words}"

    def find_key(self, text: str) -> Key | None:
        """Return the key of a text, valid or not; None if the text is no key's."""
        match = _SHAPE.fullmatch(text)
        if match is None:
            return None
        with self._database.read() as connection:
            row = connection.execute(select(tables.keys).where(tables.keys.c.id == match[1])).first()
        if row is None or not hmac.compare_digest(row.hash, self._hash(match[2])):
            return None
        return _key(row)

    def list_keys(self) -> tuple[Key, ...]:
        """Return all keys, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.keys).order_by(tables.keys.c.created_at, tables.keys.c.id)).all()
        return tuple(_key(r) for r in rows)

    def has_keys(self) -> bool:
        """Return whether there is a key that is neither revoked nor past its end."""
        c = tables.keys.c
        with self._database.read() as connection:
            n = connection.execute(
                select(func.count())
                .select_from(tables.keys)
                .where(c.revoked_at.is_(None), or_(c.expires_at.is_(None), c.expires_at > datetime.now(UTC)))
            ).scalar_one()
        return bool(n)

    def revoke(self, key: str, *, actor: str) -> Key:
        """Revoke a key at once and return it; raises KeyNotFoundError. A key revoked before keeps its time."""
        c = tables.keys.c
        with self._database.write() as connection:
            changed = connection.execute(
                update(tables.keys).where(c.id == key, c.revoked_at.is_(None)).values(revoked_at=datetime.now(UTC))
            )
            if changed.rowcount:
                add_entry(connection, actor, "key.revoke", key)
            row = connection.execute(select(tables.keys).where(c.id == key)).first()
        if row is None:
            raise KeyNotFoundError(
                "there is no key of that id.", allowed="the id of a key.", next_step="list the keys."
            )
        return _key(row)

    def _hash(self, words: str) -> str:
        return hmac.new(self._secret, words.encode(), hashlib.sha256).hexdigest()


def read_secret(path: Path) -> bytes:
    """Return the service's secret, made the first time and readable by its owner alone.

    Raises
    ------
    SecretError
        If the file is too short, or cannot be read or made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            aside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
            aside.touch(mode=0o600)
            aside.write_text(secrets.token_hex(SECRET_BYTES) + "\n")
            if not path.exists():
                path.hardlink_to(aside)  # of processes that start together, one is first and the others read its secret
        except FileExistsError:
            pass
        finally:
            aside.unlink(missing_ok=True)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SecretError(
            f"the file {path.name} cannot be read or made ({error.strerror}).",
            allowed="a file that the service alone can read.",
            next_step="check its rights, or set THEMES_SECRET_FILE.",
        ) from error
    if len(secret) < SECRET_BYTES:
        raise SecretError(
            f"the secret in {path.name} has {len(secret)} bytes.",
            allowed=f"{SECRET_BYTES} or more.",
            next_step="remove the file to have a new one made; all keys have to be made anew then.",
        )
    return secret


def _key(row: Row[tuple[object, ...]]) -> Key:
    return Key(
        KeyId(row.id),
        row.name,
        frozenset(Scope(s) for s in row.scopes),
        row.consultation,
        row.created_at,
        row.expires_at,
        row.revoked_at,
    )
