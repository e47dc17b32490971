"""Columns of every type with their odd values, and for each a value that is off by as little as can be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A column: its declaration, values in SQL (a NULL is added), and the first value nudged, in the target's SQL."""

    declared: str
    values: tuple[str, ...]
    nudge: str


_LONG = "REPEAT('long \U0001f600 ', 3000)"

MARIADB: dict[str, Kind] = {
    "tiny": Kind("TINYINT", ("-128", "127", "0"), "-127"),
    "tinyu": Kind("TINYINT UNSIGNED", ("255", "0"), "254"),
    "flag": Kind("TINYINT(1)", ("2", "-1", "1"), "1"),
    "small": Kind("SMALLINT", ("-32768", "32767"), "-32767"),
    "medium": Kind("MEDIUMINT UNSIGNED", ("16777215", "0"), "16777214"),
    "whole": Kind("INT ZEROFILL", ("42", "4294967295"), "43"),
    "big": Kind("BIGINT", ("-9223372036854775808", "9223372036854775807"), "-9223372036854775807"),
    "bigu": Kind("BIGINT UNSIGNED", ("18446744073709551615", "0"), "18446744073709551614"),
    "year": Kind("YEAR", ("0000", "1901", "2155"), "1"),
    "price": Kind("DECIMAL(10,2)", ("-0.10", "99999999.99", "0", "-0.01"), "-0.11"),
    "zeros": Kind("DECIMAL(8,3) ZEROFILL", ("1.5", "0"), "1.501"),
    "units": Kind("DECIMAL(20,0)", ("100", "-1", "0"), "10"),
    "wide": Kind("DECIMAL(65,30)", (f"{'9' * 35}.{'9' * 30}", "-1e-30", "0"), f"{'9' * 35}.{'9' * 29}8"),
    "single": Kind("FLOAT", ("0.1", "-0.0", "3.4028234663852886e38", "1.17549435e-38"), "0.100000008"),
    "double": Kind(
        "DOUBLE",
        ("0.1", "-0.0", "0.0", "1.7976931348623157e308", "5e-324", "9007199254740993", "1e16", "123456789.12345678"),
        "0.1 + 1.3877787807814457e-17",
    ),
    "bits1": Kind("BIT(1)", ("b'1'", "b'0'"), "B'0'"),
    "bits": Kind("BIT(64)", ("b'1'", f"b'{'1' * 64}'"), f"B'{'0' * 62}11'"),
    "fixed": Kind("CHAR(5)", ("'ab'", "''", "'\u00e9'"), "'ab '"),
    "word": Kind(
        "VARCHAR(100)",
        ("'Aa'", "''", "' '", "'trailing  '", "'a,b;c'", "'1:a'", "'\U0001f600\\n\\\\'", "'\\''", "'NULL'"),
        "'aa'",
    ),
    "latin": Kind("VARCHAR(40) CHARACTER SET latin1", ("'\u00fcber'", "'x'"), "'\u00dcber'"),
    "utf16": Kind("VARCHAR(40) CHARACTER SET utf16", ("'\U0001f600'", "'x'"), "'\U0001f601'"),
    "text": Kind("LONGTEXT", (_LONG, "''", "'a'"), f"{_LONG} || ' '"),
    "latin_text": Kind("TEXT CHARACTER SET latin1", ("'\u00fcber'", "''"), "'\u00fcbe'"),
    "bin4": Kind("BINARY(4)", ("x'00010000'", "x'ff000000'"), "'\\x00010001'"),
    "varbin": Kind("VARBINARY(20)", ("x'0001ff5c27'", "''"), "'\\x0001ff5c26'"),
    "blob": Kind("LONGBLOB", ("REPEAT(x'00ff', 5000)", "''", "x'00'"), "repeat('\\000', 3)::bytea"),
    "day": Kind("DATE", ("'1000-01-01'", "'9999-12-31'", "'2024-02-29'"), "'1000-01-02'"),
    "at": Kind("DATETIME", ("'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"), "'1000-01-01 00:00:01'"),
    "at3": Kind("DATETIME(3)", ("'2020-05-06 07:08:09.120'", "'2020-01-01'"), "'2020-05-06 07:08:09.121'"),
    "at6": Kind("DATETIME(6)", ("'2020-05-06 07:08:09.100000'", "'2020-01-01'"), "'2020-05-06 07:08:09.100001'"),
    "stamp": Kind("TIMESTAMP NULL", ("'2001-09-09 01:46:40'", "'2038-01-19 03:14:07'"), "'2001-09-09 01:46:41Z'"),
    "stamp6": Kind("TIMESTAMP(6) NULL", ("'2001-09-09 01:46:40.5'", "'1970-01-02'"), "'2001-09-09 01:46:40.500001Z'"),
    "span": Kind("TIME", ("'-838:59:59'", "'838:59:59'", "'00:00:00'"), "'-838:59:58'"),
    "span6": Kind("TIME(6)", ("'-00:00:00.000001'", "'25:00:01.5'", "'0'"), "'-00:00:00.000002'"),
    "doc": Kind("JSON", ('\'{"a": 1.0,  "b": [1]}\'', "'null'"), '\'{"a": 1.0, "b": [1]}\''),
    "one": Kind("ENUM('a','b,c','')", ("'a'", "'b,c'", "''"), "'b,c'"),
    "some": Kind("SET('a','b')", ("'a,b'", "''", "'a'"), "'b,a'"),
    "uid": Kind("UUID", ("'00112233-4455-6677-8899-aabbccddeeff'",), "'00112233-4455-6677-8899-aabbccddeefe'"),
    "ip4": Kind("INET4", ("'10.0.0.1'", "'0.0.0.0'"), "'10.0.0.2'"),
    "ip6": Kind("INET6", ("'::1'", "'::ffff:1.2.3.4'", "'2001:db8::8:800:200c:417a'"), "'::2'"),
    "shape": Kind(
        "GEOMETRY",
        ("ST_GeomFromText('POINT(1 2)', 4326)", "ST_GeomFromText('LINESTRING(0 0,1 1)')"),
        "'\\x00'",
    ),
}
"""By column. NULL against the first value is tried too."""

POSTGRES: dict[str, Kind] = {
    "flag": Kind("boolean", ("true", "false"), "false"),
    "small": Kind("smallint", ("-32768", "0"), "-32767"),
    "whole": Kind("integer", ("-2147483648", "0"), "0"),
    "big": Kind("bigint", ("9223372036854775807", "0"), "9223372036854775806"),
    "price": Kind("numeric(10,2)", ("-0.10", "1"), "-0.11"),
    "free": Kind("numeric", ("1.50", "'NaN'", "1e40", "-0.000001"), "1.51"),
    "single": Kind("real", ("0.1", "'-0'", "'NaN'", "'Infinity'"), "0.100000008"),
    "double": Kind("double precision", ("'-0'", "0.1", "'NaN'", "'-Infinity'", "1e-320"), "0"),
    "cash": Kind("money", ("'12.34'", "'-0.01'"), "'12.35'"),
    "padded": Kind("char(5)", ("'ab'", "''"), "'aB'"),
    "word": Kind("varchar(20)", ("'a '", "''", "'A'", "E'\\n;,:'"), "'a'"),
    "words": Kind("text", ("repeat('x', 100000)", "''", "' '"), "repeat('x', 99999) || 'y'"),
    "bytes": Kind("bytea", ("'\\x00ff'", "''"), "'\\x00fe'"),
    "bits": Kind("bit(8)", ("B'00000001'",), "B'00000000'"),
    "varbits": Kind("bit varying(70)", ("B'01'", "B''"), "B'010'"),
    "day": Kind("date", ("'2024-02-29'", "'0044-03-15 BC'", "'12000-01-01'"), "'2024-02-28'"),
    "clock": Kind("time", ("'12:34:56.789'", "'00:00'"), "'12:34:56.789001'"),
    "at": Kind("timestamp", ("'2024-01-01 00:00:00.000001'", "'0044-03-15 BC'"), "'2024-01-01 00:00:00.000002'"),
    "stamp": Kind("timestamptz", ("'2024-01-01 00:00:00.1Z'", "'1970-01-01Z'"), "'2024-01-01 00:00:00.100001Z'"),
    "span": Kind("interval", ("'1 mon 2 days 00:00:01'", "'-1 sec'", "'0'"), "'32 days 00:00:01'"),
    "doc": Kind("json", ('\'{"a": 1.0,  "a": 2}\'', "'null'"), '\'{"a": 1.0, "a": 2}\''),
    "docb": Kind("jsonb", ("'{\"a\": 1.0}'", "'null'", "'\"\"'"), "'{\"a\": 1.00}'"),
    "uid": Kind("uuid", ("'00112233-4455-6677-8899-aabbccddeeff'",), "'00112233-4455-6677-8899-aabbccddeefe'"),
    "net": Kind("inet", ("'10.0.0.1/8'", "'10.0.0.1'", "'::1'"), "'10.0.0.1/9'"),
    "ints": Kind("integer[]", ("'{1,NULL}'", "'{}'"), "'{1}'"),
    "texts": Kind("text[]", ("ARRAY['', NULL, 'a,b']", "'{}'"), "ARRAY['', 'a,b']"),
    "span4": Kind("int4range", ("'[1,5)'", "'empty'"), "'[1,6)'"),
    "found": Kind("tsvector", ("'a:1 b:2'",), "'a:1 b:3'"),
    "path": Kind("xml", ("'<a/>'",), "'<a />'"),
}


MYSQL_FITS: dict[str, Kind] = {
    **{name: kind for name, kind in POSTGRES.items() if name != "free"},
    "single": Kind("real", ("0.1", "0", "3.4028235e38"), "0"),
    "double": Kind("double precision", ("0", "0.1", "1e-320"), "0"),
    "day": Kind("date", ("'2024-02-29'", "'1000-01-01'"), "'2024-02-28'"),
    "at": Kind("timestamp", ("'2024-01-01 00:00:00.000001'", "'1000-01-01'"), "'2024-01-01'"),
}
"""Columns of PostgreSQL whose values MariaDB can hold; a column of it makes 0 of a negative zero."""
