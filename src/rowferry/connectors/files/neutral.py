"""Neutral types as text, so that a file can say what its values are; and what a file without that holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, get_args

import pyarrow as pa

from rowferry.model import types as t

TYPE_KEY = b"rowferry:type"
"""The field metadata of a Parquet column that holds `spell` of its neutral type."""

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(t.NeutralType)}


def spell(neutral: t.NeutralType) -> str:
    """The type as JSON, such as {"kind": "Decimal", "precision": 10, "scale": 2}."""
    return json.dumps(_document(neutral), ensure_ascii=False)


def parse(text: str | bytes) -> t.NeutralType:
    """What `spell` wrote; ValueError for anything else."""
    try:
        return _neutral(json.loads(text))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a neutral type") from error


def _document(neutral: t.NeutralType) -> dict[str, Any]:
    document = {"kind": type(neutral).__name__, **asdict(neutral)}
    if isinstance(neutral, t.Array):
        document["element"] = _document(neutral.element)
    return document


def _neutral(document: dict[str, Any]) -> t.NeutralType:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
    }
    kind = _KINDS[fields.pop("kind")]
    if kind is t.Array:
        fields["element"] = _neutral(fields["element"])
    neutral: t.NeutralType = kind(**fields)
    return neutral


_PRECISIONS = {"s": 0, "ms": 3, "us": 6, "ns": 6}

_INFERRED: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], t.NeutralType]], ...] = (
    (pa.types.is_boolean, lambda _: t.Boolean()),
    (pa.types.is_integer, lambda a: t.Integer(a.bit_width, pa.types.is_signed_integer(a))),
    (lambda a: pa.types.is_decimal(a) and a.scale >= 0, lambda a: t.Decimal(a.precision, a.scale)),
    (pa.types.is_float16, lambda _: t.Float(32)),
    (pa.types.is_float32, lambda _: t.Float(32)),
    (pa.types.is_float64, lambda _: t.Float(64)),
    (lambda a: pa.types.is_string(a) or pa.types.is_large_string(a), lambda _: t.Text()),
    (lambda a: pa.types.is_string_view(a) or pa.types.is_null(a), lambda _: t.Text()),
    (lambda a: pa.types.is_binary(a) or pa.types.is_large_binary(a), lambda _: t.Binary()),
    (pa.types.is_fixed_size_binary, lambda a: t.Binary(a.byte_width, fixed=True)),
    (pa.types.is_date, lambda _: t.Date()),
    (pa.types.is_time, lambda a: t.Time(_PRECISIONS[a.unit])),
    (lambda a: pa.types.is_timestamp(a) and a.tz is None, lambda a: t.DateTime(_PRECISIONS[a.unit])),
    (pa.types.is_timestamp, lambda a: t.Instant(_PRECISIONS[a.unit])),
    (pa.types.is_duration, lambda a: t.Duration(_PRECISIONS[a.unit])),
    (lambda a: isinstance(a, pa.UuidType), lambda _: t.Uuid()),
    (lambda a: isinstance(a, pa.JsonType), lambda _: t.Json()),
    (lambda a: pa.types.is_nested(a) and not pa.types.is_dictionary(a), lambda _: t.Json()),
)


def told(field: pa.Field) -> bool:
    """Whether a Parquet column says itself what it holds."""
    return bool(field.metadata) and TYPE_KEY in field.metadata


def neutral_of(field: pa.Field) -> t.NeutralType:
    """What a Parquet column holds: by its own word where it has one, else by its Arrow type."""
    if told(field):
        try:
            return parse(field.metadata[TYPE_KEY])
        except ValueError:
            return inferred(field.type)
    return inferred(field.type)


def inferred(kind: pa.DataType) -> t.NeutralType:
    """What a column of that Arrow type holds."""
    if pa.types.is_dictionary(kind):
        return inferred(kind.value_type)
    return next((make(kind) for fits, make in _INFERRED if fits(kind)), t.Unknown("files", str(kind)))
