"""Files that a query names, as a source of files is asked for them: never by DuckDB itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rowferry.config.source_files import SourceCsv, SourceFiles, SourceS3
from rowferry.connectors.base import SourceRequest
from rowferry.connectors.members import Member
from rowferry.errors import InvalidInput

FILE_FUNCTIONS = {
    "read_parquet": ("parquet",),
    "parquet_scan": ("parquet",),
    "read_csv": ("csv", "tsv", "txt"),
    "read_csv_auto": ("csv", "tsv", "txt"),
    "read_json": ("json", "jsonl", "ndjson"),
    "read_json_auto": ("json", "jsonl", "ndjson"),
    "read_ndjson": ("jsonl", "ndjson"),
    "read_ndjson_auto": ("jsonl", "ndjson"),
}
"""The functions that read files, and how the names of such files end."""

_CSV = {"delim": "delimiter", "sep": "delimiter", "delimiter": "delimiter", "quote": "quote", "header": "header",
        "nullstr": "null_text"}  # fmt: skip
"""What may be said of CSV files, and what that is called where files are read."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9_+.-]*)://(.*)\Z", re.DOTALL)
_PACKED = re.compile(r"\.(gz|zst)\Z", re.IGNORECASE)
_PATTERN = re.compile(r"[*?\[]")

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one source: `paths` below its folder, or `bucket` and keys in its store."""

    alias: str
    paths: tuple[str, ...]
    bucket: str | None = None
    csv: SourceCsv = field(default_factory=SourceCsv)

    def __str__(self) -> str:
        where = f"{self.alias}://" + (f"{self.bucket}/" if self.bucket else "")
        return ", ".join(where + path for path in self.paths)

    def request(self, member: Member) -> SourceRequest:
        """What the member's source is asked for; InvalidInput for a path that leads astray."""
        try:
            if self.bucket is not None:
                folders = tuple(path for path in self.paths if path.endswith("/"))
                keys = tuple(path for path in self.paths if not path.endswith("/"))
                return replace(
                    member.request,
                    s3=SourceS3(bucket=self.bucket, prefixes=folders, objects=keys, csv=self.csv),
                    database=None,
                )
            files = SourceFiles(base_path=str(root_of(member)), paths=self.paths, csv=self.csv)
        except ValidationError as error:
            raise InvalidInput(f"{self}: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None
        return replace(member.request, files=files, database=None)


def files_of(function: str, children: Sequence[Node], members: Sequence[Member]) -> Files:
    """The files that the function's arguments name; InvalidInput when they are of no source, or of several."""
    options = [(name, value) for child in children[1:] for name, value in (_option(function, child),)]
    paths = _paths(function, children[0]) if children else []
    if not paths:
        raise InvalidInput(f"{function} needs the name of a file, or a list of names, in quotation marks.")
    found = [_place(function, path, members) for path in paths]
    if len({(one.alias, one.bucket) for one in found}) > 1:
        raise InvalidInput(
            f"{function} names files of several sources: read each by itself, and join them by UNION ALL."
        )
    for path in paths:
        _check_ending(function, path)
    made = replace(found[0], paths=tuple(one.paths[0] for one in found), csv=_csv(function, dict(options)))
    made.request(next(one for one in members if one.alias == made.alias))
    return made


def root_of(member: Member) -> Path:
    """The folder that the member's relative paths count from."""
    files = member.request.connection.spec.files
    base = Path(files.base_path if files else "").expanduser()
    return base / Path(member.request.files.base_path).expanduser() if member.request.files else base


def _place(function: str, path: str, members: Sequence[Member]) -> Files:
    address = _ADDRESS.match(path)
    if address is None:
        return _local(function, path, members)
    scheme, rest = address.groups()
    member = next((one for one in members if one.alias.lower() == scheme.lower()), None)
    if member is None and scheme.lower() == "s3":
        member = _store_of(path, rest.partition("/")[0], members)
    if member is None or member.request.connection.spec.database is not None:
        known = ", ".join(one.alias for one in members if one.request.connection.spec.database is None)
        raise InvalidInput(
            f"{function} names {scheme}://, which is no source of this stream: write s3:// or the alias of a source of "
            f"files ({known or 'there is none'})."
        )
    if member.request.connection.spec.files is not None:
        return Files(member.alias, (rest,))
    bucket, _, key = rest.partition("/")
    if not bucket or not key:
        raise InvalidInput(f"{function} names {path}, which is no object: write s3://bucket/key.")
    return Files(member.alias, (key,), bucket)


def _local(function: str, path: str, members: Sequence[Member]) -> Files:
    folders = [one for one in members if one.request.connection.spec.files is not None]
    if Path(path).is_absolute():
        inside = [one for one in folders if Path(path).is_relative_to(root_of(one))]
        if not inside:
            raise InvalidInput(f"{function} names {path}, which lies in the folder of no source of this stream.")
        nearest = max(inside, key=lambda one: len(root_of(one).parts))
        below = str(Path(path).relative_to(root_of(nearest)))
        return Files(nearest.alias, (below + ("/" if path.endswith("/") else ""),))
    if len(folders) != 1:
        aliases = ", ".join(one.alias for one in folders) or "there is none"
        raise InvalidInput(
            f"{function} names {path}, and it is not clear in which source of files ({aliases}): write alias://{path}."
        )
    return Files(folders[0].alias, (path,))


def _store_of(path: str, bucket: str, members: Sequence[Member]) -> Member | None:
    """The store of an s3:// address: the one that has the bucket to itself, else the only one."""
    stores = [one for one in members if one.request.connection.spec.s3 is not None]
    scoped = [one for one in stores if _scope(one) == bucket]
    fitting = scoped or [one for one in stores if _scope(one) is None] or stores
    if len(fitting) > 1:
        aliases = ", ".join(one.alias for one in fitting)
        raise InvalidInput(f"{path} may be in several stores ({aliases}): write the alias in the place of s3.")
    return fitting[0] if fitting else None


def _scope(member: Member) -> str | None:
    spec = member.request.connection.spec.s3
    return spec.scope.bucket or None if spec and spec.scope else None


def _check_ending(function: str, path: str) -> None:
    """A function reads files of its own kind: the name says which a file is."""
    name = _PACKED.sub("", path.rstrip("/").rpartition("/")[2])
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    known = {one for endings in FILE_FUNCTIONS.values() for one in endings}
    if ending in known and ending not in FILE_FUNCTIONS[function]:
        fitting = next(name for name, endings in FILE_FUNCTIONS.items() if ending in endings)
        raise InvalidInput(f"{function} names {path}: read such a file by {fitting}.")


def _paths(function: str, node: Node) -> list[str]:
    """A text, or a list of texts."""
    if node.get("class") == "FUNCTION" and node.get("function_name") in ("list_value", "array"):
        return [path for child in node["children"] for path in _paths(function, child)]
    if node.get("class") in ("OPERATOR", "ARRAY") and node.get("type") == "ARRAY_CONSTRUCTOR":
        return [path for child in node["children"] for path in _paths(function, child)]
    value = _constant(node)
    if not isinstance(value, str):
        raise InvalidInput(f"{function} needs the name of a file, or a list of names, in quotation marks.")
    return [value]


def _option(function: str, node: Node) -> tuple[str, Any]:
    """`name = value`, or `name := value`."""
    if node.get("type") == "COMPARE_EQUAL" and node["left"].get("class") == "COLUMN_REF":
        return str(node["left"]["column_names"][-1]).lower(), _constant(node["right"])
    if node.get("alias"):
        return str(node["alias"]).lower(), _constant(node)
    raise InvalidInput(f"{function} takes the names of files, and options written as name = value.")


def _constant(node: Node) -> Any:
    if node.get("class") == "CAST":
        value = _constant(node["child"])
        return {"t": True, "f": False}.get(str(value), value) if node["cast_type"]["id"] == "BOOLEAN" else value
    value = node.get("value") if node.get("class") == "CONSTANT" else None
    return value.get("value") if isinstance(value, dict) and not value.get("is_null") else None


def _csv(function: str, options: Mapping[str, Any]) -> SourceCsv:
    allowed = _CSV if "csv" in function else {}
    strange = sorted(set(options) - set(allowed))
    if strange:
        known = (
            f"there are {', '.join(sorted(allowed))}"
            if allowed
            else "it takes none, files say themselves what they are"
        )
        raise InvalidInput(f"{function} has no option {', '.join(strange)} here: {known}.")
    try:
        return SourceCsv(**{_CSV[name]: value for name, value in options.items()})
    except ValidationError as error:
        raise InvalidInput(f"{function}: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None
