"""The tables of the state."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_DOCUMENT = JSON(none_as_null=True)

CONNECTIONS = Table(
    "connections",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", String(20), nullable=False),
    Column("document", _DOCUMENT, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("created", Integer, nullable=False),
)

CONFIGS = Table(
    "configs",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("name", Text, nullable=False),
    Column("mode", String(20), nullable=False),
    Column("document", _DOCUMENT, nullable=False),
    Column("created", Integer, nullable=False),
)

STREAMS = Table(
    "streams",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("config_id", String(40), nullable=False),
    Column("name", Text, nullable=False),
    Column("config", _DOCUMENT, nullable=False),
    Column("mode", String(20), nullable=False),
    Column("status", String(30), nullable=False),
    Column("stage", String(30), nullable=False),
    Column("created", Integer, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("elapsed", Float, nullable=False),
    Column("error", _DOCUMENT),
    Column("stats", _DOCUMENT),
    Column("targets", _DOCUMENT, nullable=False),
    Column("journal", Boolean, nullable=False),
    Index(None, "config_id"),
    Index(None, "status"),
)

VERIFICATIONS = Table(
    "verifications",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("stream_id", String(40), nullable=False),
    Column("status", String(20), nullable=False),
    Column("created", Integer, nullable=False),
    Column("finished_at", Float),
    Column("elapsed", Float, nullable=False),
    Column("error", _DOCUMENT),
    Column("comparison", _DOCUMENT),
    Index(None, "stream_id"),
)

FINDINGS = Table(
    "findings",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("stream_id", String(40), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("document", _DOCUMENT, nullable=False),
    Index(None, "stream_id", "digest", unique=True),
    sqlite_autoincrement=True,
)

LOGS = Table(
    "logs",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("stream_id", String(40), nullable=False),
    Column("level", String(10), nullable=False),
    Column("document", _DOCUMENT, nullable=False),
    Index(None, "stream_id", "number"),
    sqlite_autoincrement=True,
)

ACCOUNT = Table(
    "account",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("email", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    Column("key_box", Text, nullable=False),
    Column("created", Integer, nullable=False),
)

SETTINGS = Table(
    "settings",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("value", _DOCUMENT, nullable=False),
)

IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("status", Integer),
    Column("content_type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "created"),
)
