"""Normal forms: what a server or a file shows of a value, made comparable without a word of the program's own.

Each form says how either server is asked for a column called v, and what its text (or a file's) means.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address

Shown = str | bytes | int | None
"""What a server's client or a file's reader gives."""

Normal = Callable[[Shown], object]


@dataclass(frozen=True)
class Form:
    """How a family of types is shown and compared. `{n}` in the SQL is the number in the source's declaration."""

    normal: Normal
    mariadb: str = "CAST(v AS CHAR)"
    postgresql: str = "CASE WHEN num_nonnulls(v) = 1 THEN format('%s', v) END"


def _text(shown: Shown) -> str:
    return shown.decode() if isinstance(shown, bytes) else str(shown)


def _decimal(shown: Shown) -> object:
    """Its digits and its scale, without zeros in front."""
    return Decimal(_text(shown)).as_tuple()


def _single(shown: Shown) -> bytes:
    return struct.pack("<f", float(_text(shown)))


def _double(shown: Shown) -> bytes:
    return struct.pack("<d", float(_text(shown)))


def _hex(shown: Shown) -> str:
    """Two digits a byte. A file of text has \\x in front of them."""
    return shown.hex() if isinstance(shown, bytes) else _text(shown).removeprefix("\\x").lower()


def _flag(shown: Shown) -> bool:
    return {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}[_text(shown).lower()]


_MOMENT = re.compile(r"(-?\d+)-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(?:Z|\+00)?( BC)?")


def _moment(shown: Shown) -> object:
    """Microseconds since 1970 in the calendar that goes on for ever; a day that is in no calendar stays as it is."""
    if isinstance(shown, int):
        return shown
    if _text(shown) in ("infinity", "-infinity"):
        return _text(shown)
    found = _MOMENT.fullmatch(_text(shown))
    if found is None:
        raise ValueError(f"no moment: {shown!r}")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    year = 1 - year if found[8] else year
    if not (month and 1 <= day <= _days_of(year, month)) or (year == 0 and not found[8]):
        return ("no day", found.groups())
    seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
    return seconds * 1_000_000 + int((found[7] or "").ljust(6, "0"))


def _days_of(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01; the year before 1 is 0."""
    before = year - 1
    whole = before * 365 + before // 4 - before // 100 + before // 400
    return whole + sum(_days_of(year, earlier) for earlier in range(1, month)) + day - 719_163


def _length(shown: Shown) -> int:
    """Microseconds; a time of day is as long as it is late."""
    if isinstance(shown, int):
        return shown
    found = re.fullmatch(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?", _text(shown))
    if found is None:
        raise ValueError(f"no time: {shown!r}")
    seconds = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4])
    micros = seconds * 1_000_000 + int((found[5] or "").ljust(6, "0"))
    return -micros if found[1] else micros


def _shape(shown: Shown) -> tuple[int, str]:
    """SRID and WKB; out of "4326:0101..." as MariaDB is asked for it, or out of EWKB."""
    text = _hex(shown)
    if ":" in text:
        number, wkb = text.split(":")
        return int(number), wkb
    raw = bytes.fromhex(text)
    if raw[4] & 0x20:
        return int.from_bytes(raw[5:9], "little"), (raw[:4] + bytes([raw[4] & ~0x20]) + raw[9:]).hex()
    return 0, text


def _digest(shown: Shown) -> str:
    """Length in bytes and MD5: a server is asked for them, a file's value is measured here."""
    if isinstance(shown, str) and re.fullmatch(r"\d+:[0-9a-f]{32}", shown):
        return shown
    text = _text(shown) if isinstance(shown, str) else ""
    raw = bytes.fromhex(text[2:]) if text.startswith("\\x") else shown if isinstance(shown, bytes) else text.encode()
    return f"{len(raw)}:{hashlib.md5(raw).hexdigest()}"


def _money(shown: Shown) -> Decimal:
    return Decimal(_text(shown).replace("$", "").replace(",", ""))


FORMS: dict[str, Form] = {
    "text": Form(_text),
    "json": Form(_text),
    # A line end between the tokens of a document would end its line.
    "json line": Form(lambda shown: re.sub("[\r\n]", " ", _text(shown))),
    "whole": Form(lambda shown: int(_text(shown))),
    "decimal": Form(_decimal),
    # As it is, a FLOAT would be shown with six digits, a DOUBLE(20,4) with four behind the point.
    "single": Form(_single, mariadb="CAST(v * 1e0 AS CHAR)"),
    "double": Form(_double, mariadb="CAST(v * 1e0 AS CHAR)"),
    "bytes": Form(_hex, mariadb="HEX(v)", postgresql="encode(v, 'hex')"),
    "bits": Form(_text, mariadb="LPAD(BIN(v + 0), {n}, '0')"),
    "flag": Form(_flag),
    "moment": Form(_moment),
    "length": Form(_length),
    "uuid": Form(lambda shown: _text(shown).lower().replace("-", "")),
    "address": Form(lambda shown: ip_address(_text(shown))),
    "shape": Form(_shape, mariadb="CONCAT(ST_SRID(v), ':', HEX(ST_AsWKB(v)))", postgresql="encode(v, 'hex')"),
    "digest": Form(
        _digest,
        mariadb="CONCAT(OCTET_LENGTH(v), ':', MD5(v))",
        postgresql="octet_length(v) || ':' || md5(v)",
    ),
    # As it was written: PostgreSQL's own output leaves a declaration out.
    "xml": Form(_text, postgresql="v::text"),
    "money": Form(_money),
}
