"""The server's own settings: from the command line, `ROWFERRY_*` and a file, in that order of weight."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from rowferry.config.roots import Roots

CONFIG_FILE = Path("rowferry.yaml")

_SERVED = (Path("/data/imports"), Path("/data/exports"))
_SECRETS = (Path("/run/secrets"), Path("/etc/ssl/certs"), Path("/etc/pki/tls/certs"))


def _split(value: Any) -> Any:
    return [part for part in value.split(":") if part.strip()] if isinstance(value, str) else value


def _absolute(folders: tuple[Path, ...] | None) -> tuple[Path, ...] | None:
    for folder in folders or ():
        if not folder.is_absolute():
            raise ValueError("must be absolute paths, such as /data/exports")
    return folders


Folders = Annotated[tuple[Path, ...] | None, NoDecode, BeforeValidator(_split), AfterValidator(_absolute)]
"""Some folders, in the environment with a colon between them."""


class Settings(BaseSettings):
    """Everything about a server that its operator may set."""

    model_config = SettingsConfigDict(env_prefix="ROWFERRY_", extra="forbid", frozen=True, yaml_file=CONFIG_FILE)

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="The port to listen on; without it 80 if it may be bound, else 8020."
    )
    data_dir: Path = Field(default=Path("rowferry-data"), description="Where state, keys and logs are kept.")
    state_url: SecretStr | None = Field(
        default=None, description="A PostgreSQL URL to keep the state in, instead of SQLite in the data directory."
    )
    secret_key: SecretStr | None = Field(
        default=None, description="The key that encrypts stored secrets; without it a key file in the data directory."
    )
    max_active_streams: int = Field(default=8, ge=1, description="How many streams may run or be paused at once.")
    workers: int = Field(default=2, ge=1, le=64, description="How many chunks one stream copies at the same time.")
    warm_workers: int = Field(
        default=1, ge=0, le=4, description="How many idle workers are kept ready, so that a stream starts at once."
    )
    max_body_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="The largest request body that is accepted, in bytes."
    )
    file_roots: Folders = Field(
        default=None,
        description="The folders in which connections may read and write files; without it `/data/imports`, "
        "`/data/exports`, the data directory and, while the server listens on a loopback address, the user's home.",
    )
    secret_roots: Folders = Field(
        default=None,
        description="The folders whose files connections may name as a secret (`file:/path`) or in `ssl`; without it "
        "`/run/secrets`, `/etc/ssl/certs`, `/etc/pki/tls/certs` and, while the server listens on a loopback address, "
        "the user's home.",
    )
    log_level: str = Field(default="info", description="debug, info, warning or error.")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def files(self) -> Roots:
        """Where connections may read and write files."""
        return Roots(self.file_roots if self.file_roots is not None else (*_SERVED, self._own, *self._home))

    @property
    def secrets(self) -> Roots:
        """Where files may lie that are named as secrets and certificates; the server's own are out of reach."""
        folders = self.secret_roots if self.secret_roots is not None else (*_SECRETS, *self._home)
        return Roots(folders, "ROWFERRY_SECRET_ROOTS", closed=(self._own,))

    @property
    def _own(self) -> Path:
        return self.data_dir.absolute()

    @property
    def _home(self) -> tuple[Path, ...]:
        try:
            return (Path.home(),) if self.loopback else ()
        except RuntimeError:
            return ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line wins over the environment, and the environment over the file."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)
