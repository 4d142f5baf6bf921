"""Everything that can be set: by flags, by GIANTKILLER_* in the environment, or in a TOML file."""

import difflib
import ipaddress
import sys
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from giantkiller.errors import UserError
from giantkiller.serve.hooks.signatures import key_of

PREFIX = "GIANTKILLER_"
SECRET = ("database", "coral_secrets", "webhook_secrets")
"""Settings that are never printed as they are."""


def default_state() -> Path:
    """Return the folder for this user's state."""
    from platformdirs import user_data_path

    return user_data_path("giantkiller", appauthor=False)


def _listed(value: Any) -> Any:
    """Split a list given as one text, by commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _web_address(value: str) -> str:
    if not value.startswith(("http://", "https://")) or any(c.isspace() or c in "\"'<>\\" for c in value):
        raise ValueError("it must be a web address that begins with http:// or https://")
    return value.rstrip("/")


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < LEAST_SECRET:
        raise ValueError(f"a secret has at least {LEAST_SECRET} characters")
    return value


def _webhook_secrets(values: list[SecretStr]) -> list[SecretStr]:
    for value in values:
        key_of(value.get_secret_value())
    return values


LEAST_SECRET = 16
"""Characters of a secret that somebody else has made."""

Secrets = Annotated[
    list[Annotated[SecretStr, AfterValidator(_long_enough)]], NoDecode, BeforeValidator(_listed)
]
WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(BaseSettings):
    """Settings of the service. Each field is a flag, an environment variable and a key of the TOML file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 or :: for all.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 for any free one.")
    state: Path = Field(default_factory=default_state, description="Folder for keys and kept feedback.")
    database: SecretStr | None = Field(
        None, description="PostgreSQL URL; without one, SQLite in the state folder."
    )
    model: str = Field(
        "default", description="A bundle or checkpoint folder, or a hub id; the shipped bundle by default."
    )
    workers: int = Field(1, ge=1, le=256, description="Processes that share the port.")
    threads: int | None = Field(None, ge=1, le=256, description="Threads that score, in each process.")
    open: bool = Field(False, description="Ask for no API keys; on a loopback address only.")

    strict_attributes: bool = Field(
        False, description="Refuse attributes that we lack instead of leaving them out."
    )
    any_language: bool = Field(False, description="Score comments in other languages than English, too.")
    public_url: WebAddress | None = Field(
        None, description="The address that clients use, if it isn't the Host header's."
    )
    cors_origins: Annotated[list[WebAddress], NoDecode, BeforeValidator(_listed)] = Field(
        default_factory=list, description="Web origins whose pages may call the service, by commas."
    )
    proxies: Annotated[list[str], NoDecode, BeforeValidator(_listed)] = Field(
        default_factory=list,
        description="Addresses of reverse proxies whose X-Forwarded-* headers count, by commas.",
    )
    public_metrics: bool = Field(
        False, description="Give /metrics to anybody; else to this machine on loopback, or to an admin's key."
    )

    coral_secrets: Secrets = Field(
        default_factory=list,
        description="Signing secrets of Coral's external moderation phases, by commas; none: it is off.",
    )
    webhook_secrets: Annotated[Secrets, AfterValidator(_webhook_secrets)] = Field(
        default_factory=list,
        description="Secrets (whsec_...) of the signed webhook for comments, by commas; none: it is off.",
    )
    webhook_window: float = Field(
        300, ge=1, le=3600, description="Seconds after which a signed message no longer counts."
    )

    rate: float | None = Field(
        None, gt=0, description="Comments a second that a key may send, unless it has its own."
    )
    hook_rate: float | None = Field(
        None,
        gt=0,
        description="Comments a second that may come signed with one secret; as many as `rate` if not given.",
    )
    max_body: int = Field(
        8 << 20, ge=1 << 17, le=1 << 30, description="Largest request body in bytes, but for /v1/screen."
    )
    max_queue: int = Field(4096, ge=1, description="Comments that may wait for the model, in each process.")
    max_wait_ms: float = Field(
        30,
        gt=0,
        description="Refuse a request that would wait longer for the model; 30 times that beyond 8 comments.",
    )
    max_batch: int = Field(128, ge=1, le=4096, description="Most comments in one call of the model.")
    window_ms: float = Field(0, ge=0, le=2, description="Wait this long for more comments before a call.")
    timeout: float = Field(
        10, gt=0, le=600, description="Seconds that a request may take, its body's arrival included."
    )
    shadow: float = Field(
        0.1, ge=0, le=1, description="Share of the comments that a candidate scores, too, while there is one."
    )
    streams: int = Field(4, ge=1, description="Requests to /v1/screen at a time, in each process.")
    connections: int = Field(1000, ge=1, description="Requests under way at a time, in each process.")
    shutdown: float = Field(30, gt=0, description="Seconds to finish what was accepted when told to stop.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line written."
    )

    @model_validator(mode="after")
    def _open_is_for_loopback(self) -> "Settings":
        if self.open and not is_loopback(self.host):
            raise ValueError(f"open needs a loopback address such as 127.0.0.1, not {self.host}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let flags win over the environment; `read_settings` puts the file below both."""
        return init_settings, env_settings

    @property
    def database_url(self) -> str | None:
        """The database's URL, password and all; never print it."""
        return None if self.database is None else self.database.get_secret_value()

    @property
    def bind(self) -> str:
        """Host and port as they stand in a web address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether an address reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_settings(flags: dict[str, Any], config: Path | None = None) -> Settings:
    """Gather settings: flags first, then the environment, then a TOML file, then defaults.

    Args:
        flags: What was given as flags, by field.
        config: The TOML file.

    Raises:
        UserError: If a setting is wrong or unknown, naming it, where it came from and what it takes.
    """
    import os

    file = _read_toml(config) if config else {}
    named = {
        name: value
        for name in Settings.model_fields
        if (value := os.environ.get(PREFIX + name.upper())) is not None
    }
    try:
        # The environment's texts are parsed by the model, the file's values come below them.
        return Settings(**{**{k: v for k, v in file.items() if k not in named}, **flags})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else None
        what = first["msg"].removeprefix("Value error, ")
        what = what[0].lower() + what[1:]
        if field is None:
            raise UserError(f"settings: {what}") from None
        if field in flags:
            source = f"`{field}`"
        elif field in named:
            source = f"{PREFIX}{field.upper()}"
        else:
            source = f"{config}: {field}"
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(field, Settings.model_fields, 1, 0.0)
            raise UserError(f"{config}: {field!r} is no setting; the nearest is {near[0]!r}") from None
        given = "" if field in SECRET else f" {first['input']!r}"[:100]
        raise UserError(f"{source}{given}: {what}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"can't read the settings in {path}: {error.strerror or error}") from error
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
