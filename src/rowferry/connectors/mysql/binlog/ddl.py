"""What a statement in the log does to tables, as far as a stream of rows must know it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rowferry.connectors.mysql.binlog.tokens import Cursor, Token, parts, tokens
from rowferry.model.tables import TableName


@dataclass(frozen=True, slots=True)
class Truncate:
    """A table was emptied."""

    table: TableName


@dataclass(frozen=True, slots=True)
class Gone:
    """A table is no longer what it was, or is called otherwise; `how` goes on from its name."""

    table: TableName
    how: str


@dataclass(frozen=True, slots=True)
class DropDatabase:
    """A database was dropped with all of its tables."""

    name: str


@dataclass(frozen=True, slots=True)
class ByStatement:
    """Rows of these tables may have been changed by the statement itself."""

    tables: tuple[TableName, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """A column was added (`old` is None), or changed and perhaps renamed.

    `definition`: the words of its type and what follows. `place`: "" (at the end, or where it was), "FIRST" or "AFTER",
    with the column after which it stands. `lenient`: nothing happens when it is there already (or is not there).
    """

    name: str
    definition: tuple[Token, ...]
    old: str | None = None
    place: str = ""
    after: str = ""
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """A column was dropped."""

    name: str
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """A column is called otherwise."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Convert:
    """All text of the table is in another character set."""

    charset: str


@dataclass(frozen=True, slots=True)
class Charset:
    """Text columns that are added later are in another character set."""

    charset: str


@dataclass(frozen=True, slots=True)
class Unkeyed:
    """An index was dropped; `name` is PRIMARY for the primary key."""

    name: str


@dataclass(frozen=True, slots=True)
class Keyed:
    """A primary key was added, over these columns."""

    columns: tuple[str, ...]


Step = Put | Drop | Rename | Convert | Charset | Unkeyed | Keyed | Gone


@dataclass(frozen=True, slots=True)
class Alter:
    """A table's columns or keys were changed."""

    table: TableName
    steps: tuple[Step, ...]


Deed = Truncate | Gone | DropDatabase | ByStatement | Alter


def deeds(database: str, text: str) -> list[Deed]:
    """What the statement, run in that database, does; nothing for what concerns no table's columns and rows."""
    cursor = Cursor(tokens(text))
    if cursor.take("SET", "STATEMENT"):
        while not cursor.over and not cursor.take("FOR"):
            cursor.at += 1
    reader = _READERS.get(cursor.word)
    cursor.at += 1
    return list(reader(cursor, database)) if reader else []


def table_name(cursor: Cursor, database: str) -> TableName:
    """The table that is named here, with its database or without."""
    first = cursor.text()
    return TableName(first, cursor.text()) if cursor.take(".") else TableName(database, first)


def _truncate(cursor: Cursor, database: str) -> Iterator[Deed]:
    cursor.take("TABLE")
    yield Truncate(table_name(cursor, database))


def _rename(cursor: Cursor, database: str) -> Iterator[Deed]:
    if not (cursor.take("TABLE") or cursor.take("TABLES")):
        return
    cursor.take("IF", "EXISTS")
    for part in parts(cursor.words[cursor.at :]):
        one = Cursor(part)
        old = table_name(one, database)
        while not one.over and not one.take("TO"):
            one.at += 1
        new = table_name(one, database)
        yield Gone(old, f"was renamed to {new}")
        yield Gone(new, f"was put in the place of what had that name, as {old} was renamed to it")


def _drop(cursor: Cursor, database: str) -> Iterator[Deed]:
    if cursor.take("DATABASE") or cursor.take("SCHEMA"):
        cursor.take("IF", "EXISTS")
        yield DropDatabase(cursor.text())
    elif cursor.take("INDEX") or cursor.take("KEY"):
        cursor.take("IF", "EXISTS")
        index = cursor.text()
        if cursor.take("ON"):
            yield Alter(table_name(cursor, database), (Unkeyed(index),))
    elif cursor.take("TABLE") or cursor.take("TABLES"):
        cursor.take("IF", "EXISTS")
        for part in parts(cursor.words[cursor.at :]):
            yield Gone(table_name(Cursor(part), database), "was dropped")


def _create(cursor: Cursor, database: str) -> Iterator[Deed]:
    replaced = cursor.take("OR", "REPLACE")
    if cursor.take("TABLE") and (replaced or not cursor.take("IF", "NOT", "EXISTS")):
        yield Gone(table_name(cursor, database), "was created anew")


def _alter(cursor: Cursor, database: str) -> Iterator[Deed]:
    cursor.one_of(frozenset({"ONLINE", "OFFLINE"}))
    cursor.take("IGNORE")
    if not cursor.take("TABLE"):
        return
    cursor.take("IF", "EXISTS")
    name = table_name(cursor, database)
    if cursor.take("WAIT"):
        cursor.at += 1
    cursor.take("NOWAIT")
    steps = tuple(step for part in parts(cursor.words[cursor.at :]) for step in _steps(Cursor(part), name, database))
    yield Alter(name, steps)


def _steps(cursor: Cursor, table: TableName, database: str) -> Iterator[Step]:
    word = cursor.word
    reader = _STEPS.get(word)
    if reader is None:
        yield from _options(cursor)
        return
    cursor.at += 1
    yield from reader(cursor, table, database)


def _add(cursor: Cursor, table: TableName, _: str) -> Iterator[Step]:
    if cursor.word == "CONSTRAINT":
        cursor.at += 1
        cursor.take("IF", "NOT", "EXISTS")
        if cursor.word not in _AFTER_CONSTRAINT:
            cursor.at += 1
    if cursor.take("PRIMARY", "KEY"):
        while not cursor.over and cursor.word != "(":
            cursor.at += 1
        yield Keyed(tuple(Cursor(part).text() for part in parts(cursor.parenthesis())))
        return
    if cursor.word in _NO_COLUMN:
        return
    cursor.take("COLUMN")
    lenient = cursor.take("IF", "NOT", "EXISTS")
    listed = cursor.parenthesis()
    for part in parts(listed) if listed else [list(cursor.words[cursor.at :])]:
        one = Cursor(part)
        if one.word not in _NO_COLUMN:
            name = one.text()
            yield _put(name, one, None, lenient)


def _put(name: str, cursor: Cursor, old: str | None, lenient: bool) -> Put:
    """The column's definition without the place that may stand at its end."""
    words = tuple(cursor.words[cursor.at :])
    place, after = "", ""
    if words and Cursor(words, len(words) - 1).word == "FIRST":
        words, place = words[:-1], "FIRST"
    elif len(words) > 1 and Cursor(words, len(words) - 2).word == "AFTER":
        words, place, after = words[:-2], "AFTER", words[-1].text
    return Put(name, words, old, place, after, lenient)


def _change(cursor: Cursor, _: TableName, __: str) -> Iterator[Step]:
    cursor.take("COLUMN")
    lenient = cursor.take("IF", "EXISTS")
    old, new = cursor.text(), cursor.text()
    yield _put(new, cursor, old, lenient)


def _modify(cursor: Cursor, _: TableName, __: str) -> Iterator[Step]:
    cursor.take("COLUMN")
    lenient = cursor.take("IF", "EXISTS")
    name = cursor.text()
    yield _put(name, cursor, name, lenient)


def _drop_part(cursor: Cursor, table: TableName, _: str) -> Iterator[Step]:
    if cursor.take("PARTITION"):
        yield Gone(table, "has lost the rows of a partition")
    elif cursor.take("PRIMARY", "KEY"):
        yield Unkeyed("PRIMARY")
    elif cursor.take("INDEX") or cursor.take("KEY"):
        cursor.take("IF", "EXISTS")
        yield Unkeyed(cursor.text())
    elif cursor.word not in _NO_COLUMN:
        cursor.take("COLUMN")
        lenient = cursor.take("IF", "EXISTS")
        yield Drop(cursor.text(), lenient)


def _rename_part(cursor: Cursor, table: TableName, database: str) -> Iterator[Step]:
    if cursor.take("COLUMN"):
        cursor.take("IF", "EXISTS")
        old = cursor.text()
        cursor.take("TO")
        yield Rename(old, cursor.text())
    elif not (cursor.take("INDEX") or cursor.take("KEY")):
        cursor.one_of(frozenset({"TO", "AS", "="}))
        yield Gone(table, f"was renamed to {table_name(cursor, database)}")


def _convert(cursor: Cursor, table: TableName, _: str) -> Iterator[Step]:
    if cursor.take("TO"):
        yield Convert(_charset(cursor))
    elif cursor.take("PARTITION") or cursor.take("TABLE"):
        yield Gone(table, "has had rows moved into or out of it with a partition")


def _charset(cursor: Cursor) -> str:
    """The set that is named behind the words for one."""
    cursor.one_of(frozenset({"CHARSET", "CHARACTER", "CHAR"}))
    cursor.take("SET")
    cursor.take("=")
    return cursor.text().lower()


def _partition(what: str) -> Callable[[Cursor, TableName, str], Iterator[Step]]:
    def read(cursor: Cursor, table: TableName, _: str) -> Iterator[Step]:
        if cursor.word in ("PARTITION", "TABLESPACE"):
            yield Gone(table, what)

    return read


def _options(cursor: Cursor) -> Iterator[Step]:
    """Options of the table, of which only its character set matters."""
    while not cursor.over:
        if cursor.word in ("CHARSET", "CHARACTER"):
            yield Charset(_charset(cursor))
        else:
            cursor.at += 1


def _by_statement(cursor: Cursor, database: str) -> Iterator[Deed]:
    """Every name in the statement that may be a table's."""
    if cursor.word == "HISTORY":
        return
    found = []
    while not cursor.over:
        token = cursor.words[cursor.at]
        if token.quoted or token.text.isidentifier():
            found.append(table_name(cursor, database))
        else:
            cursor.at += 1
    yield ByStatement(tuple(found))


_NO_COLUMN = frozenset(
    {"INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK", "PARTITION", "PERIOD", "SYSTEM", "VECTOR"}
    | {"CONSTRAINT", "PRIMARY"}
)
"""What an ADD or a DROP is about when it is not about a column."""

_AFTER_CONSTRAINT = frozenset({"PRIMARY", "UNIQUE", "FOREIGN", "CHECK"})

_STEPS: Mapping[str, Callable[[Cursor, TableName, str], Iterator[Step]]] = {
    "ADD": _add,
    "CHANGE": _change,
    "MODIFY": _modify,
    "DROP": _drop_part,
    "RENAME": _rename_part,
    "CONVERT": _convert,
    "TRUNCATE": _partition("has lost the rows of a partition"),
    "EXCHANGE": _partition("has had its rows exchanged with another table's"),
    "DISCARD": _partition("has lost its rows"),
    "IMPORT": _partition("has been given other rows from a file"),
}
_READERS: Mapping[str, Callable[[Cursor, str], Iterator[Deed]]] = {
    "TRUNCATE": _truncate,
    "RENAME": _rename,
    "DROP": _drop,
    "CREATE": _create,
    "ALTER": _alter,
    "INSERT": _by_statement,
    "REPLACE": _by_statement,
    "UPDATE": _by_statement,
    "DELETE": _by_statement,
    "LOAD": _by_statement,
    "CALL": _by_statement,
}
