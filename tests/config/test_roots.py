"""Which folders a server serves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from rowferry.config.settings import Settings


def test_without_a_setting_the_usual_folders_and_at_home_the_home(tmp_path: Path) -> None:
    usual = (Path("/data/imports"), Path("/data/exports"), tmp_path)
    for host in ("0.0.0.0", "192.0.2.1", "::", "example.org"):
        assert Settings(host=host, data_dir=tmp_path).files.folders == usual
        assert Path.home() not in (Settings(host=host, data_dir=tmp_path).secrets.folders or ())
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert Settings(host=host, data_dir=tmp_path).files.folders == (*usual, Path.home())
        assert Path.home() in (Settings(host=host, data_dir=tmp_path).secrets.folders or ())


def test_the_environment_names_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROWFERRY_FILE_ROOTS", "/a:/b c:")
    monkeypatch.setenv("ROWFERRY_SECRET_ROOTS", "")
    assert Settings().files.folders == (Path("/a"), Path("/b c"))
    assert Settings().secrets.folders == ()
    monkeypatch.setenv("ROWFERRY_FILE_ROOTS", "exports")
    with pytest.raises(ValidationError, match="must be absolute"):
        Settings()


def test_so_does_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rowferry.yaml").write_text("file_roots: [/a, /b]\nsecret_roots: /c:/d\n")
    monkeypatch.chdir(tmp_path)
    assert Settings().files.folders == (Path("/a"), Path("/b"))
    assert Settings().secrets.folders == (Path("/c"), Path("/d"))
