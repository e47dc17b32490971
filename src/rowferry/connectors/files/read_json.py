"""Reading JSON: a document a line, documents one after the other, or one array of them.

The members of an object are read as they are spelled, so that a number keeps all its digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

import pyarrow as pa

from rowferry.connectors.files.json_blocks import ENDLESS, NotPlain, members_of, texts_of
from rowferry.connectors.files.parse import STRING
from rowferry.connectors.files.read_csv import BOM, check_encoding
from rowferry.connectors.files.rows import LITTLE, Bad, Piece, batch_of, misfits
from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.tables import Column

BATCH_BYTES = 1024 * 1024
"""About so many bytes of lines or documents become a batch."""

LARGEST = 16 * 1024 * 1024
"""A block of more bytes, which is one large object, is not read at once: its structure could take much memory."""

_DECODER: Any = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
scan: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once
"""Reads a value, numbers as they are spelled; returns it and where it ends."""
_BLANK = re.compile(r"[ \t\r\n]*+")
_BETWEEN = re.compile(r"[ \t\r\n]*+:[ \t\r\n]*+")
_NEXT = re.compile(r"[ \t\r\n]*+(,[ \t\r\n]*+(?=\")|\})")

Members = dict[str, str]
"""An object's members by name, each as it is spelled."""


class NoObject(ValueError):
    """There is no whole object; the message says what there is."""


def members(text: str, at: int, exact: bool = False) -> tuple[Members, int]:
    """The object that begins at `at`, and where it ends; NoObject when there is none, or not all of it.

    `exact`: blanks around a value are its own, as Rowferry writes them.
    """
    if text[at : at + 1] != "{":
        raise NoObject("it is no JSON object")
    found: Members = {}
    at = _BLANK.match(text, at + 1).end()  # type: ignore[union-attr]
    if text[at : at + 1] == "}":
        return found, at + 1
    try:
        while True:
            if text[at] != '"':
                raise NoObject("it is no JSON")
            name, after = scanstring(text, at + 1, True)
            start = _BETWEEN.match(text, after).end()  # type: ignore[union-attr]
            _, at = scan(text, start)
            if name in found:
                raise NoObject("it has two members of the same name")
            found[name] = text[start:at]
            step = _NEXT.match(text, at)
            if step is None:
                raise NoObject("it is no JSON")
            if exact:
                found[name] = text[text.index(":", after) + 1 : step.start(1)]
            at = step.end()
            if step[1] == "}":
                return found, at
    except (StopIteration, IndexError, AttributeError, RecursionError, json.JSONDecodeError) as error:
        raise NoObject("it is no JSON") from error


def read_lines(
    piece: Piece, columns: Sequence[Column], strict: Sequence[bool], names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The rows of a file with an object a line."""
    reader = _Lines(piece, columns, strict, names)
    before = 0
    for number, block in enumerate(piece.blocks(_last_line, BATCH_BYTES)):
        yield from reader.rows(_start(piece, number, block), before)
        before += block.count(b"\n")


def _last_line(data: bytes) -> int:
    return data.rfind(b"\n") + 1


class _Lines:
    """Blocks of lines as rows: all of a block at once, by halves where that cannot be, and at last line by line."""

    def __init__(self, piece: Piece, columns: Sequence[Column], strict: Sequence[bool], names: Sequence[str]) -> None:
        self._columns, self._strict, self._names = columns, strict, names
        self._careful = _Rows(piece, columns, strict, names)

    def rows(self, block: bytes, before: int) -> Iterator[pa.RecordBatch]:
        """The rows of a block; `before`: how many line ends of the piece lie before it."""
        batch = self._quick(block)
        half = _last_line(block[: len(block) // 2]) if len(block) > LITTLE else 0
        if batch is not None:
            yield batch
        elif half:
            yield from self.rows(block[:half], before)
            yield from self.rows(block[half:], before + block.count(b"\n", 0, half))
        else:
            for number, raw in enumerate(block.split(b"\n"), before):
                if raw.strip():
                    self._careful.add(number, raw)
            yield from self._careful.batch()

    def documents(self, found: Sequence[tuple[int, bytes]]) -> Iterator[pa.RecordBatch]:
        """The rows of documents, each with how many line ends of the piece lie before it."""
        batch = None
        if not any(b"\n" in raw for _, raw in found):
            batch = self._quick(b"\n".join(raw for _, raw in found))
        if batch is not None:
            yield batch
            return
        for before, raw in found:
            self._careful.add(before, raw)
        yield from self._careful.batch()

    def _quick(self, block: bytes) -> pa.RecordBatch | None:
        if len(block) > LARGEST:
            return None
        try:
            texts = texts_of(members_of(block, self._names, scan), self._columns, self._strict, self._names)
        except NotPlain:
            return None
        return batch_of(texts, self._columns, self._strict)


def _start(piece: Piece, number: int, block: bytes) -> bytes:
    if number == 0 and piece.start == 0:
        check_encoding(piece.item.path, block)
        return block.removeprefix(BOM)
    return block


def read_documents(
    piece: Piece, columns: Sequence[Column], strict: Sequence[bool], names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The rows of a file with objects one after the other, or with arrays of them."""
    reader = _Lines(piece, columns, strict, names)
    found: list[tuple[int, bytes]] = []
    size = 0
    for line, raw in documents(piece):
        found.append((line - 1, raw))
        size += len(raw)
        if size >= BATCH_BYTES:
            yield from reader.documents(found)
            found, size = [], 0
    yield from reader.documents(found)


_OUTSIDE = re.compile(rb"[^\"{}\[\],\s]++|[\"{}\[\],]")
_INSIDE = re.compile(rb"[^\"{}\[\]]*+(?:\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"|[{}\[\]])", re.DOTALL)


def documents(piece: Piece) -> Iterator[tuple[int, bytes]]:
    """Each top-level value, or member of a top-level array, with the line on which it begins.

    Only brackets and quotes are looked at; what is between them is for the reader of a row.
    """
    cutter = _Cutter()
    line = 1
    for number, block in enumerate(piece.blocks(cutter.end)):
        if number == 0:
            check_encoding(piece.item.path, block)
        found = cutter.take()
        if not found and block.strip(BOM + b" \t\r\n,[]"):
            found = [(0, len(block))]  # the file ends inside a document
        at = 0
        for start, end in found:
            line += block.count(b"\n", at, start)
            at = start
            yield line, block[start:end]
        line += block.count(b"\n", at)
    cutter.check_end(piece)


class _Cutter:
    """Finds documents in bytes that come piece by piece; what is not whole is looked at again with more behind it."""

    def __init__(self) -> None:
        self._in_array = False
        self._found: list[tuple[int, int]] = []

    def end(self, data: bytes) -> int:
        """Where the last document ends, and the array where it does."""
        at = len(BOM) if data.startswith(BOM) else 0
        last = 0
        while True:
            token = _OUTSIDE.search(data, at)
            if token is None:
                return len(data)
            sign = token[0]
            if sign in (b",", b"]") or (sign == b"[" and not self._in_array):
                self._in_array = sign == b"[" or (self._in_array and sign == b",")
                at = last = token.end()
                continue
            stop = self._whole(data, token.start()) if sign in (b"{", b"[", b'"') else token.end()
            if stop is None or (stop == len(data) and sign != b"{"):
                return last  # a number may go on in the next bytes
            self._found.append((token.start(), stop))
            at = last = stop

    def take(self) -> list[tuple[int, int]]:
        """What `end` has found since it was last asked."""
        found, self._found = self._found, []
        return found

    def check_end(self, piece: Piece) -> None:
        """ReadFailed when the file ends inside its array."""
        if self._in_array:
            raise ReadFailed(f"The file {piece.item.path} is not whole: its array is not closed.")

    def _whole(self, data: bytes, at: int) -> int | None:
        depth = 0
        while True:
            found = _INSIDE.match(data, at)
            if found is None:
                return None
            at = found.end()
            sign = data[at - 1]
            depth += (sign in b"{[") - (sign in b"}]")
            if depth <= 0:
                return at


class _Rows:
    """Rows on their way into a batch."""

    def __init__(self, piece: Piece, columns: Sequence[Column], strict: Sequence[bool], names: Sequence[str]) -> None:
        self._piece, self._columns, self._strict = piece, columns, strict
        self._names = frozenset(names)
        self._exact = not any(strict)
        own = [not one and column.read_as is None for column, one in zip(columns, strict, strict=True)]
        self._takes = [take_of(column.type, *how) for column, *how in zip(columns, strict, own, strict=True)]
        self._rows: list[list[str | None]] = []
        self._places: list[tuple[int, bytes]] = []

    def add(self, before: int, raw: bytes) -> None:
        """Add a row, which goes to the piece's refusal when it is none; so many lines of the piece are before it."""
        bad = self._added(before, raw)
        if bad is not None:
            self._piece.refuse(before, bad, raw)

    def _added(self, before: int, raw: bytes) -> Bad | None:
        try:
            text = raw.decode()
            found, end = members(text, _BLANK.match(text).end(), self._exact)  # type: ignore[union-attr]
            if text[end:].strip(" \t\r\n"):
                return Bad(0, None, "something stands behind the object")
        except UnicodeDecodeError:
            return Bad(0, None, "it is not in UTF-8")
        except NoObject as error:
            return Bad(0, None, str(error))
        if not self._names.issuperset(found):
            return Bad(0, min(found.keys() - self._names), "no row read before the stream began has this member")
        row = []
        for column, take in zip(self._columns, self._takes, strict=True):
            try:
                value = found.get(column.name)
                row.append(None if value is None else take(value))
            except ValueError:
                return Bad(0, column.name, "the value is of another kind")
        self._rows.append(row)
        self._places.append((before, raw))
        return None

    def batch(self) -> Iterator[pa.RecordBatch]:
        """The rows so far, if there are any; those that do not fit go to the piece's refusal."""
        if not self._rows:
            return
        rows, places = self._rows, self._places
        self._rows, self._places = [], []
        texts = _texts(rows, len(self._columns))
        batch = batch_of(texts, self._columns, self._strict)
        if batch is None:
            bad = misfits(texts, self._columns, self._strict)
            for one in bad:
                before, raw = places[one.at]
                self._piece.refuse(before, one, raw)
            out = {one.at for one in bad}
            kept = [row for at, row in enumerate(rows) if at not in out]
            batch = batch_of(_texts(kept, len(self._columns)), self._columns, self._strict)
        if batch is not None and batch.num_rows:
            yield batch


def _texts(rows: Sequence[Sequence[str | None]], columns: int) -> list[pa.Array]:
    return [pa.array([row[at] for row in rows], STRING) for at in range(columns)]


def take_of(neutral: t.NeutralType, strict: bool, own: bool = False) -> Callable[[str], str | None]:
    """What makes a text of a member as it is spelled; ValueError when it is of another kind than the type.

    In files of our own a document that is null is one; where there is none, the member is left out.
    """
    document, endless, words = (isinstance(neutral, kind) for kind in (t.Json, t.Float, t.Text))

    def take(span: str) -> str | None:
        if not document:
            span = span.strip()
        if span == "null" and not (document and own):
            return None
        if document:
            return span
        first = span[0]
        if first in "{[" or (strict and (first == '"') is not words):
            raise ValueError
        if first != '"':
            return span
        text: str = span[1:-1] if "\\" not in span else json.loads(span)
        return ENDLESS.get(text, text) if endless else text

    return take
