"""What the command line makes of what is not right: one line on standard error, and exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rowferry import cli

SECRET = "sesame-open"
MYSQL = f"mysql://reader:{SECRET}@localhost/shop"
POSTGRES = f"postgresql://writer:{SECRET}@localhost/shop"

URLS = {
    "no URL": ("shop", POSTGRES, "There is no scheme ''"),
    "unknown scheme": (f"oracle://u:{SECRET}@h/d", POSTGRES, "There is no scheme 'oracle'"),
    "no host": (f"mysql://u:{SECRET}@/d", POSTGRES, "names no host"),
    "no source database": (f"mysql://u:{SECRET}@h", POSTGRES, "The source's URL names no database"),
    "no target database": (MYSQL, f"postgresql://u:{SECRET}@h", "The target's URL names no database"),
    "port": (f"mysql://u:{SECRET}@h:99999/d", POSTGRES, "port must be a number from 1 to 65535"),
    "bracket": (f"mysql://u:{SECRET}@[::1/d", POSTGRES, "The URL cannot be read"),
    "blank": (f"mysql://u:{SECRET}@h h/d", POSTGRES, "host must not contain blanks"),
    "option": (MYSQL, "file:///tmp?formt=csv", "unknown options formt"),
    "format": (MYSQL, "file:///tmp?format=xml", "target.spec.files.fileFormat must be one of csv, jsonl, parquet"),
    "relative file": (MYSQL, "file://tmp/x", "three slashes and an absolute path"),
    "keys of a store": (MYSQL, f"s3://key:{SECRET}@bucket/x", "its keys stand in AWS_ACCESS_KEY_ID"),
    "no bucket": (MYSQL, "s3:///x", "has a bucket and a folder"),
    "an object as a target": (MYSQL, "s3://bucket/x/t.parquet", "names an object: name the folder"),
    "a store's address": ("s3://bucket/x?endpoint=nowhere", POSTGRES, "must look like https://host:port"),
}

GOOD = f"name: n\nmode: convert\nsource: {{connections: [{{connectionId: '{MYSQL}'}}]}}\n"
TARGET = f"target: {{id: '{POSTGRES}', spec: {{db: {{database: d}}}}}}\n"

DOCUMENTS = {
    "broken": ("a: [1\n b: {", "is not valid YAML: see line 2, column 3"),
    "not UTF-8": ("a: \udcff", "is not in UTF-8: see its byte 3"),
    "a list": ("- 1", "must hold a stream config"),
    "nothing": ("", "must hold a stream config"),
    "too deep": ("[" * 3000, "nested too deeply"),
    "an object": ("!!python/object/apply:os.system ['true']", "is not valid YAML"),
    "doubled field": (GOOD + TARGET + "name: m", "'name' is written twice: see line 5"),
    "a field without a name": ("? [a]\n: b", "must be text: see line 1"),
    "unknown field": (GOOD + TARGET + f"nam: {SECRET}", "nam is not a known field: did you mean name"),
    "no target": (GOOD, "needs source.connections with a connectionId each, and target.id"),
    "an id": (GOOD + "target: {id: conn_1, spec: {}}", "every connectionId and target.id is a URL"),
    "a variable": (GOOD + "target: {id: '${ROWFERRY_NOWHERE}'}", "${ROWFERRY_NOWHERE}, but there is no such"),
    "bundle": (
        (GOOD + TARGET).replace("source: {", "source: {options: {dataBundleSize: 9}, "),
        "source.options.dataBundleSize must be at least 10",
    ),
}


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says on standard error; nothing on standard output, and no secret."""
    monkeypatch.setattr(sys, "argv", ["rowferry", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == cli.Exit.BAD_INPUT
    assert said.err.startswith(("rowferry: ", "error: "))
    assert said.err.count("\n") == 1
    assert SECRET not in said.err + said.out
    return said.err


@pytest.mark.parametrize(("source", "target", "words"), URLS.values(), ids=list(URLS))
def test_a_bad_url(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str, target: str, words: str
) -> None:
    assert words in refused(monkeypatch, capsys, "migrate", source, target)


@pytest.mark.parametrize(("text", "words"), DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_a_bad_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "stream.yaml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    assert words in refused(monkeypatch, capsys, "run", str(file))


def test_no_document(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "cannot be read: no such file" in refused(monkeypatch, capsys, "run", str(tmp_path / "none.yaml"))
    assert "cannot be read: is a directory" in refused(monkeypatch, capsys, "run", str(tmp_path))


def test_bad_settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "port must be at most 65535" in refused(monkeypatch, capsys, "serve", "--port", "65536")
