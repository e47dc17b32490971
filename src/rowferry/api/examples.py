"""The examples that stand in the contract."""

from __future__ import annotations

from typing import Any

CONNECTION_ID = "conn_2t3EmXcvcg2J6I9mJ02UaiMVxfb"
CONFIG_ID = "config_2t3FvKx0VsPsS5YbQz1mBhWcE4d"
STREAM_ID = "stream_2t3HSWnLvjeOCuuVPsuJVUhawj2"
VERIFICATION_ID = "verify_2t3JUaQ8nGmYcX1vBkRzWfDhLe5"
CREATED = 1739572516


def _example(summary: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "value": value}


CONNECTIONS = {
    "mysql": _example(
        "MySQL or MariaDB",
        {
            "name": "mysql-source",
            "type": "mysql",
            "host": "localhost",
            "port": 3306,
            "username": "root",
            "password": "password",
            "defaultDatabase": "source_db",
        },
    ),
    "postgresql": _example(
        "PostgreSQL, nested, with TLS",
        {
            "name": "postgres-target",
            "type": "postgresql",
            "spec": {"database": {"host": "localhost", "port": 5432, "username": "postgres", "password": "postgres"}},
            "ssl": {"mode": "verify-full", "ca": "/etc/ssl/certs/db-ca.pem"},
        },
    ),
    "files": _example(
        "A folder",
        {"name": "file-connection", "type": "files", "spec": {"files": {"basePath": "/data/exports"}}},
    ),
    "s3": _example(
        "S3 storage, by URI",
        {
            "name": "s3-csv-export",
            "type": "files",
            "file_format": "csv",
            "storage_config": {
                "provider": "s3",
                "uri": "s3://my-bucket/exports/csv/",
                "region": "us-east-1",
                "credentials_ref": "secret/data/aws/my-bucket",
            },
        },
    ),
}

STREAM_CONFIGS = {
    "minimal": _example(
        "A whole database",
        {
            "name": "full_migration",
            "mode": "convert",
            "source": {"connections": [{"connectionId": "conn_SOURCE_ID", "database": "source_db"}]},
            "target": {"id": "conn_TARGET_ID", "spec": {"db": {"database": "target_db"}}},
        },
    ),
    "selective": _example(
        "Some tables, with their structure",
        {
            "name": "selective_migration",
            "mode": "convert",
            "source": {
                "connections": [
                    {
                        "connectionId": "conn_SOURCE_ID",
                        "database": "sakila",
                        "tables": [{"name": "actor"}, {"name": "film"}, {"name": "customer"}],
                    }
                ],
                "options": {"dataBundleSize": 500},
            },
            "target": {
                "id": "conn_TARGET_ID",
                "spec": {
                    "db": {
                        "database": "target_db",
                        "schema": "public",
                        "structureOptions": {"tables": True, "indexes": True, "foreignKeys": True},
                    }
                },
            },
            "reportingInterval": 3,
        },
    ),
    "parquet": _example(
        "An export to Parquet",
        {
            "name": "parquet_export",
            "mode": "convert",
            "source": {
                "connections": [
                    {
                        "connectionId": "conn_SOURCE_ID",
                        "database": "sakila",
                        "tables": [{"name": "film"}, {"name": "actor"}],
                    }
                ]
            },
            "target": {
                "id": "conn_FILES_TARGET_ID",
                "spec": {"files": {"fileFormat": "parquet", "format": {"compression": "zstd"}}},
            },
        },
    ),
}
