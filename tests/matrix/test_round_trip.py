"""Everything that a server holds becomes files, and rows of such a server again: equal, in every form of a file.

What the way into files or back refuses is told by the other tests of the matrix. Compression and place are none of a
value's business: the way back into a server is gone once for each format, files of the other forms, some of them in a
bucket, are compared as a source. There many columns stand side by side in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Job
from rowferry.pipeline.signals import Signals
from tests.files.tables import FORMATS
from tests.matrix.cases import FILES, Case, packed
from tests.matrix.crossings import Crossings
from tests.matrix.ends import End
from tests.matrix.forms import FORMS
from tests.stores import BUCKET, ObjectStore
from tests.verify.conftest import Silent, compared

ONE_OF_EACH = [("parquet", "zstd"), ("csv", "none"), ("jsonl", "none")]
IN_A_BUCKET = [("parquet", "snappy"), ("csv", "gzip"), ("jsonl", "zstd")]
OTHERS = [form for form in FORMATS if form not in (*ONE_OF_EACH, *IN_A_BUCKET)]


def moved(source: str, target: str, tables: list[str]) -> Job:
    """A stream that has finished."""
    job = job_from_urls(source, target, tables=tables)
    outcome = oneshot.run(job, Silent(), Signals())
    assert outcome.state is StreamState.FINISHED, outcome.error and outcome.error.message
    return job


def cases_of(crossings: Crossings, file_format: str) -> list[Case]:
    """What files hold as it is, and such a server, too."""
    matrix = crossings.matrix
    return [case for case in matrix.equal(file_format) if case in matrix.equal(matrix.source)]


def exported(crossings: Crossings, place: str, file_format: str, compression: str, tables: Sequence[str]) -> None:
    """The tables as files at a place, which hold the same, as a target and as a source."""
    mark = "&" if "?" in place else "?"
    out = moved(crossings.start.url, f"{place}{mark}format={file_format}&compression={compression}", list(tables))
    documents = documents_of(crossings)
    assert_equal(out, tables, documents)
    back = job_from_urls(place, crossings.start.url, tables=list(tables))
    assert_equal(back, tables, documents, one_line=file_format == "jsonl")


def documents_of(crossings: Crossings) -> set[str]:
    """The tables that hold documents."""
    return {case.table for case in crossings.matrix.cases if case.form is FORMS["json"]}


def assert_equal(job: Job, tables: Sequence[str], documents: set[str], one_line: bool = False) -> None:
    """So says a verification.

    A document that a server spells in its own way is not compared, and one that stands on one line (`one_line`) is
    another to a server that keeps the lines: these are compared by the other tests, by what they mean.
    """
    found = compared(job)
    different = {table.source for table in found.tables if not table.equal}
    assert different <= (documents if one_line else set())
    assert {table.source for table in found.tables if table.skipped} <= documents
    assert len(found.tables) == len(tables) > 9


def there_and_back(crossings: Crossings, place: str, file_format: str, compression: str, end: End) -> None:
    """By way of files at that place."""
    cases = cases_of(crossings, file_format)
    tables = [case.table for case in cases]
    exported(crossings, place, file_format, compression, tables)
    back = moved(place, end.url, tables)
    assert crossings.differences(end, cases, file_format) == []
    assert_equal(back, tables, documents_of(crossings))


def packed_tables(crossings: Crossings) -> list[str]:
    """Few tables that hold everything that any file holds as it is."""
    assert len({tuple(cases_of(crossings, file_format)) for file_format in FILES}) == 1
    packs, alone = packed(cases_of(crossings, FILES[0]))
    crossings.start.pack(packs)
    return [*(pack.table for pack in packs), *(case.table for case in alone)]


@pytest.fixture(scope="module")
def of_mariadb(from_mariadb: Crossings) -> list[str]:
    """Such tables of MariaDB."""
    return packed_tables(from_mariadb)


@pytest.fixture(scope="module")
def of_postgres(from_postgres: Crossings) -> list[str]:
    """Such tables of PostgreSQL."""
    return packed_tables(from_postgres)


@pytest.mark.parametrize(("file_format", "compression"), OTHERS)
def test_files_of_mariadb(
    from_mariadb: Crossings, of_mariadb: list[str], tmp_path: Path, file_format: str, compression: str
) -> None:
    exported(from_mariadb, f"file://{tmp_path}", file_format, compression, of_mariadb)


@pytest.mark.parametrize(("file_format", "compression"), OTHERS)
def test_files_of_postgresql(
    from_postgres: Crossings, of_postgres: list[str], tmp_path: Path, file_format: str, compression: str
) -> None:
    exported(from_postgres, f"file://{tmp_path}", file_format, compression, of_postgres)


@pytest.mark.parametrize(("file_format", "compression"), ONE_OF_EACH)
def test_mariadb_by_way_of_a_folder(
    from_mariadb: Crossings, new_end: Callable[[str], End], tmp_path: Path, file_format: str, compression: str
) -> None:
    with closing(new_end("mariadb")) as end:
        there_and_back(from_mariadb, f"file://{tmp_path}", file_format, compression, end)


@pytest.mark.parametrize(("file_format", "compression"), ONE_OF_EACH)
def test_postgresql_by_way_of_a_folder(
    from_postgres: Crossings, new_end: Callable[[str], End], tmp_path: Path, file_format: str, compression: str
) -> None:
    with closing(new_end("postgresql")) as end:
        there_and_back(from_postgres, f"file://{tmp_path}", file_format, compression, end)


@pytest.fixture
def bucket(store_of_objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in a bucket whose keys are in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", store_of_objects.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store_of_objects.secret_key)
    return f"s3://{BUCKET}/{store_of_objects.new_folder()}?endpoint={store_of_objects.endpoint}"


@pytest.mark.parametrize(("file_format", "compression"), IN_A_BUCKET)
def test_files_of_mariadb_in_a_bucket(
    from_mariadb: Crossings, of_mariadb: list[str], bucket: str, file_format: str, compression: str
) -> None:
    exported(from_mariadb, bucket, file_format, compression, of_mariadb)


@pytest.mark.parametrize(("file_format", "compression"), IN_A_BUCKET)
def test_files_of_postgresql_in_a_bucket(
    from_postgres: Crossings, of_postgres: list[str], bucket: str, file_format: str, compression: str
) -> None:
    exported(from_postgres, bucket, file_format, compression, of_postgres)
