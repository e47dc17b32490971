"""A dry run: everything a start would do, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Any

from rowferry.connectors.base import PlannedTable
from rowferry.errors import ConnectionFailed, InvalidInput, RowferryError
from rowferry.model.findings import Finding, Severity
from rowferry.model.streams import Mode
from rowferry.pipeline.job import Job
from rowferry.pipeline.origins import open_sources
from rowferry.pipeline.plan import Plan, make_plan, missing, open_changes, open_target


def validate(job: Job) -> dict[str, Any]:
    """Plan the job: {"ok", "tables", "findings"}. What would refuse the stream is a finding of severity error.

    ConnectionFailed when an end cannot be reached.
    """
    findings: list[Finding] = []
    with ExitStack() as stack:
        sources = [stack.enter_context(closing(source)) for source in open_sources(job)]
        target = stack.enter_context(closing(open_target(job)))
        try:
            plan = make_plan(job, sources, target, prepared=False)
            if job.config.mode is Mode.CDC:
                log = stack.enter_context(closing(open_changes(job)))
                findings = missing(job, log, plan)
        except (ConnectionFailed, InvalidInput):
            raise
        except RowferryError as error:
            refusal = Finding(Severity.ERROR, "", error.message)
            return {"ok": False, "tables": [], "findings": [asdict(refusal)]}
    return _document(plan, [*plan.findings, *findings])


def _document(plan: Plan, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "ok": all(finding.severity is not Severity.ERROR for finding in findings),
        "tables": [_table(table) for table in plan.tables],
        "findings": [asdict(finding) for finding in findings],
    }


def _table(table: PlannedTable) -> dict[str, Any]:
    source, target = table.source, table.target
    return {
        "name": target.name.name,
        "source": str(source.name),
        "target": str(target.name),
        "exists": table.existing,
        "estimatedRows": source.estimated_rows,
        "estimatedSizeBytes": source.estimated_bytes,
        "primaryKey": list(target.primary_key),
        "columns": [
            {
                "name": new.name,
                "sourceName": old.name,
                "sourceType": old.native.declared,
                "targetType": new.native.declared,
                "nullable": new.nullable,
            }
            for old, new in zip(source.columns, target.columns, strict=True)
        ],
        "indexes": [index.name for index in target.indexes],
        "foreignKeys": [key.name for key in target.foreign_keys],
    }
