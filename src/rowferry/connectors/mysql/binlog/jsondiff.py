"""What has changed in a JSON document, as MySQL logs it with binlog_row_value_options=PARTIAL_JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from rowferry.connectors.mysql.binlog.fields import packed
from rowferry.connectors.mysql.binlog.jsonb import Tree, tree

_REPLACE, _INSERT, _REMOVE = 0, 1, 2
_LEG = re.compile(r'\.(?P<quoted>"(?:[^"\\]|\\.)*")|\.(?P<name>[^.\[\s]+)|\[(?P<index>\d+)\]')

Leg = str | int


def applied(document: Tree, diffs: bytes) -> Tree:
    """The document after these changes; ValueError when they do not fit it."""
    for operation, path, value in _changes(diffs):
        document = _changed(document, operation, path, value)
    return document


def _changes(data: bytes) -> Iterator[tuple[int, Sequence[Leg], Tree]]:
    at = 0
    while at < len(data):
        operation = data[at]
        size, at = packed(data, at + 1)
        path, at = data[at : at + size].decode(), at + size
        value: Tree = "null"
        if operation != _REMOVE:
            size, at = packed(data, at)
            value, at = tree(data[at : at + size]), at + size
        yield operation, _legs(path), value


def _legs(path: str) -> list[Leg]:
    """The keys and places that lead there."""
    found: list[Leg] = []
    at = 1
    while path.startswith("$") and at < len(path):
        leg = _LEG.match(path, at)
        if leg is None:
            break
        if leg["index"] is not None:
            found.append(int(leg["index"]))
        else:
            found.append(json.loads(leg["quoted"]) if leg["quoted"] is not None else leg["name"])
        at = leg.end()
    if at != len(path):
        raise ValueError(path)
    return found


def _changed(document: Tree, operation: int, path: Sequence[Leg], value: Tree) -> Tree:
    if not path:
        if operation != _REPLACE:
            raise ValueError(operation)
        return value
    place: Tree = document
    for leg in path[:-1]:
        place = _inside(place, leg)
    last = path[-1]
    if isinstance(place, dict) and isinstance(last, str):
        _change_object(place, operation, last, value)
    elif isinstance(place, list) and isinstance(last, int):
        _change_array(place, operation, last, value)
    else:
        raise ValueError(last)
    return document


def _inside(place: Tree, leg: Leg) -> Tree:
    if isinstance(place, dict) and isinstance(leg, str):
        return place[leg]
    if isinstance(place, list) and isinstance(leg, int):
        return place[leg]
    raise ValueError(leg)


def _change_object(place: dict[str, Tree], operation: int, key: str, value: Tree) -> None:
    """Keys stand in the order of their length, then of their bytes."""
    if (key in place) == (operation == _INSERT):
        raise ValueError(key)
    if operation == _REMOVE:
        del place[key]
        return
    place[key] = value
    if operation == _INSERT:
        ordered = sorted(place.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
        place.clear()
        place.update(ordered)


def _change_array(place: list[Tree], operation: int, index: int, value: Tree) -> None:
    if operation == _INSERT:
        place.insert(index, value)
    elif operation == _REPLACE:
        place[index] = value
    else:
        del place[index]
