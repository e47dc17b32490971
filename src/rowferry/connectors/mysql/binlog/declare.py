"""A column as a statement declares it, in the words in which the catalogue would show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rowferry.connectors.mysql.binlog.tokens import Cursor, Token, parts
from rowferry.connectors.mysql.columns import Row, column
from rowferry.model.tables import Column


@dataclass(frozen=True, slots=True)
class Manner:
    """How a server shows columns. `widths`: it tells the digits that an INT is shown with. `charset`: the table's."""

    mariadb: bool
    widths: bool
    charset: str


@dataclass
class _Declared:
    """What has been read so far."""

    name: str
    arguments: list[Token] = field(default_factory=list)
    unsigned: bool = False
    zerofill: bool = False
    charset: str | None = None
    collation: str | None = None
    nullable: bool = True
    default: str | None = None
    generated: str | None = None
    comment: str = ""
    extra: list[str] = field(default_factory=list)
    srid: int | None = None

    def number(self, place: int, otherwise: int) -> int:
        """An argument that is a number."""
        given = [part[0].text for part in parts(self.arguments) if part]
        return int(given[place]) if len(given) > place else otherwise


_ALIASES: Mapping[tuple[str, ...], str] = {
    ("DOUBLE", "PRECISION"): "double",
    ("LONG", "VARCHAR"): "mediumtext",
    ("LONG", "VARBINARY"): "mediumblob",
    ("LONG",): "mediumtext",
    ("CHARACTER", "VARYING"): "varchar",
    ("CHAR", "VARYING"): "varchar",
    ("NATIONAL", "CHARACTER", "VARYING"): "nvarchar",
    ("NATIONAL", "CHAR", "VARYING"): "nvarchar",
    ("NATIONAL", "VARCHAR"): "nvarchar",
    ("NATIONAL", "CHARACTER"): "nchar",
    ("NATIONAL", "CHAR"): "nchar",
    ("NCHAR", "VARYING"): "nvarchar",
    ("NCHAR", "VARCHAR"): "nvarchar",
    ("INTEGER",): "int",
    ("INT1",): "tinyint",
    ("INT2",): "smallint",
    ("INT3",): "mediumint",
    ("MIDDLEINT",): "mediumint",
    ("INT4",): "int",
    ("INT8",): "bigint",
    ("BOOL",): "boolean",
    ("NUMERIC",): "decimal",
    ("DEC",): "decimal",
    ("FIXED",): "decimal",
    ("NUMBER",): "decimal",
    ("REAL",): "double",
    ("FLOAT4",): "float",
    ("FLOAT8",): "double",
    ("CHARACTER",): "char",
    ("VARCHARACTER",): "varchar",
    ("VARCHAR2",): "varchar",
    ("GEOMCOLLECTION",): "geometrycollection",
    ("SQL_TSI_YEAR",): "year",
}
"""Other names of types."""

_WIDTHS = {"tinyint": 4, "smallint": 6, "mediumint": 9, "int": 11, "bigint": 20}
_UNSIGNED_WIDTHS = {"tinyint": 3, "smallint": 5, "mediumint": 8, "int": 10, "bigint": 20}
_PRECISIONS = {"tinyint": 3, "smallint": 5, "mediumint": 7, "int": 10, "bigint": 19}
_TIMES = frozenset({"time", "datetime", "timestamp"})
_STRINGS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"})
_AS_BYTES = {"char": "binary", "varchar": "varbinary", "text": "blob", "tinytext": "tinyblob"}
_AS_BYTES |= {"mediumtext": "mediumblob", "longtext": "longblob"}
_SIZES = ((1 << 8, "tiny"), (1 << 16, ""), (1 << 24, "medium"), (1 << 32, "long"))
_WIDEST = 4


def declared(name: str, definition: Sequence[Token], manner: Manner) -> Column:
    """The column of that name and definition."""
    cursor = Cursor(definition)
    found = _Declared(_type_name(cursor))
    found.arguments = cursor.parenthesis()
    while not cursor.over:
        _attribute(cursor, found, manner)
    _settle(found, manner)
    json = found.name == "json" and manner.mariadb
    return column(_row(name, found, manner), manner.mariadb, json)


def _type_name(cursor: Cursor) -> str:
    for words, name in _ALIASES.items():
        if cursor.take(*words):
            return name
    return cursor.text().lower()


def _attribute(cursor: Cursor, found: _Declared, manner: Manner) -> None:
    """One more word or clause behind the type."""
    word = cursor.word
    reader = _ATTRIBUTES.get(word)
    cursor.at += 1
    if reader is not None:
        reader(cursor, found, manner)


def _unsigned(_: Cursor, found: _Declared, __: Manner) -> None:
    found.unsigned = True


def _zerofill(_: Cursor, found: _Declared, __: Manner) -> None:
    found.unsigned = found.zerofill = True


def _charset(cursor: Cursor, found: _Declared, _: Manner) -> None:
    cursor.take("SET")
    cursor.take("=")
    found.charset = cursor.text().lower()


def _collate(cursor: Cursor, found: _Declared, _: Manner) -> None:
    cursor.take("=")
    found.collation = cursor.text().lower()
    if found.charset is None and found.collation != "binary":
        found.charset = found.collation.split("_", 1)[0]


def _byte(_: Cursor, found: _Declared, __: Manner) -> None:
    found.charset = "binary"


def _not(cursor: Cursor, found: _Declared, _: Manner) -> None:
    found.nullable = not cursor.take("NULL")


def _primary(cursor: Cursor, found: _Declared, _: Manner) -> None:
    cursor.take("KEY")
    found.nullable = False


def _default(cursor: Cursor, found: _Declared, manner: Manner) -> None:
    if cursor.word == "(":
        inner = cursor.parenthesis()
        found.default = "(" + " ".join(_written(one) for one in inner) + ")"
        found.extra.append("DEFAULT_GENERATED")
        return
    sign = "-" if cursor.take("-") else ""
    cursor.take("+")
    token = cursor.words[cursor.at] if not cursor.over else Token("NULL")
    cursor.at += 1
    number = token.text
    if not token.quoted and number.isdigit() and cursor.take("."):
        number += f".{cursor.text()}"
    if cursor.word == "(":
        cursor.parenthesis()
    if not token.quoted and token.text.upper() == "NULL":
        return
    found.default = _written(token) if token.quoted and manner.mariadb else sign + number


def _written(token: Token) -> str:
    return "'" + token.text.replace("'", "''") + "'" if token.quoted else token.text


def _on_update(cursor: Cursor, found: _Declared, _: Manner) -> None:
    if cursor.take("UPDATE"):
        cursor.at += 1
        cursor.parenthesis()
        found.extra.append("on update current_timestamp()")


def _comment(cursor: Cursor, found: _Declared, _: Manner) -> None:
    found.comment = cursor.text()


def _numbered(_: Cursor, found: _Declared, __: Manner) -> None:
    found.extra.append("auto_increment")
    found.nullable = False


def _invisible(_: Cursor, found: _Declared, __: Manner) -> None:
    found.extra.append("INVISIBLE")


def _generated(cursor: Cursor, found: _Declared, _: Manner) -> None:
    found.generated = " ".join(_written(one) for one in cursor.parenthesis())
    stored = cursor.one_of(frozenset({"STORED", "PERSISTENT", "VIRTUAL"}))
    found.extra.append("VIRTUAL GENERATED" if stored in ("", "VIRTUAL") else "STORED GENERATED")


def _srid(cursor: Cursor, found: _Declared, _: Manner) -> None:
    found.srid = int(cursor.text())


def _check(cursor: Cursor, _: _Declared, __: Manner) -> None:
    cursor.parenthesis()


_ATTRIBUTES: Mapping[str, Callable[[Cursor, _Declared, Manner], None]] = {
    "UNSIGNED": _unsigned,
    "ZEROFILL": _zerofill,
    "CHARACTER": _charset,
    "CHARSET": _charset,
    "COLLATE": _collate,
    "BYTE": _byte,
    "NOT": _not,
    "PRIMARY": _primary,
    "DEFAULT": _default,
    "ON": _on_update,
    "COMMENT": _comment,
    "AUTO_INCREMENT": _numbered,
    "INVISIBLE": _invisible,
    "AS": _generated,
    "SRID": _srid,
    "CHECK": _check,
    "REFERENCES": lambda cursor, *_: setattr(cursor, "at", len(cursor.words)),
}


def _settle(found: _Declared, manner: Manner) -> None:
    """Put what is another name for something in that one's words."""
    if found.name == "boolean":
        found.name, found.arguments = "tinyint", [Token("1")]
    elif found.name == "serial":
        found.name, found.unsigned, found.nullable = "bigint", True, False
        found.extra.append("auto_increment")
    elif found.name in ("nchar", "nvarchar"):
        found.name, found.charset = found.name[1:], "utf8mb3"
    if found.name == "json" and manner.mariadb:
        found.charset, found.collation = "utf8mb4", "utf8mb4_bin"
    if found.name in _STRINGS:
        found.charset = found.charset or manner.charset
        if found.charset == "binary" and found.name in _AS_BYTES:
            found.name = _AS_BYTES[found.name]
    if found.name in ("text", "blob") and found.arguments:
        room = found.number(0, 0) * (_WIDEST if found.name == "text" else 1)
        found.name = next(size for limit, size in _SIZES if room < limit) + found.name
    if found.name == "float" and len(parts(found.arguments)) == 1 and found.arguments:
        found.name, found.arguments = "float" if found.number(0, 0) <= 24 else "double", []


def _row(name: str, found: _Declared, manner: Manner) -> Row:
    """A row of the catalogue."""
    kind = found.name
    data = "longtext" if kind == "json" and manner.mariadb else kind
    length = found.number(0, 1) if kind in ("char", "varchar", "binary", "varbinary") else None
    precision, scale = _digits(found)
    return {
        "COLUMN_NAME": name,
        "DATA_TYPE": data,
        "COLUMN_TYPE": _spelled(found, data, manner),
        "CHARACTER_MAXIMUM_LENGTH": length,
        "NUMERIC_PRECISION": precision,
        "NUMERIC_SCALE": scale,
        "DATETIME_PRECISION": found.number(0, 0) if kind in _TIMES else None,
        "CHARACTER_SET_NAME": found.charset if data in _STRINGS else None,
        "COLLATION_NAME": found.collation if data in _STRINGS else None,
        "IS_NULLABLE": "YES" if found.nullable else "NO",
        "COLUMN_DEFAULT": found.default,
        "EXTRA": " ".join(found.extra),
        "COLUMN_COMMENT": found.comment,
        "GENERATION_EXPRESSION": found.generated,
        "SRS_ID": found.srid,
    }


def _digits(found: _Declared) -> tuple[int | None, int | None]:
    if found.name == "decimal":
        return found.number(0, 10), found.number(1, 0)
    if found.name == "bit":
        return found.number(0, 1), None
    if found.name in _PRECISIONS:
        return _PRECISIONS[found.name], 0
    if found.name in ("float", "double"):
        return found.number(0, 12 if found.name == "float" else 22), found.number(1, 0) if found.arguments else None
    return None, None


def _spelled(found: _Declared, data: str, manner: Manner) -> str:
    """The type as the catalogue spells it."""
    arguments = ",".join(_written(one) for part in parts(found.arguments) for one in part)
    if data in _WIDTHS:
        width = (_UNSIGNED_WIDTHS if found.unsigned else _WIDTHS)[data]
        shown = manner.widths or found.zerofill or (data == "tinyint" and arguments == "1" and not found.unsigned)
        arguments = arguments or str(width) if shown else ""
    elif data == "decimal":
        arguments = f"{found.number(0, 10)},{found.number(1, 0)}"
    elif data in ("char", "binary", "bit"):
        arguments = arguments or "1"
    elif data == "year":
        arguments = "4" if manner.widths else ""
    elif data in _TIMES and arguments == "0":
        arguments = ""
    spelled = f"{data}({arguments})" if arguments else data
    return spelled + " unsigned" * found.unsigned + " zerofill" * found.zerofill
