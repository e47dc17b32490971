"""The server's own settings: from the command line, `ROWFERRY_*` and a file, in that order of weight."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

CONFIG_FILE = Path("rowferry.yaml")


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
    log_level: str = Field(default="info", description="debug, info, warning or error.")

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
