"""The settings hold what the environment says, and an invalid environment stops the start."""

from pathlib import Path

import pytest

from gateway.errors import InvalidSettings
from gateway.settings import Settings

SECRET = "s0123456789abcdef0123456789abcdef"
DEVELOPMENT = {"GATEWAY_ENV": "development"}
PRODUCTION = {"GATEWAY_ENV": "production", "GATEWAY_SECRET_KEY": SECRET}


def read(**environment: str) -> Settings:
    return Settings.read({**DEVELOPMENT, **environment})


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(InvalidSettings) as caught:
        Settings.read(environment)
    return str(caught.value)


def test_read_development_needs_no_other_variable() -> None:
    settings = read()

    assert settings.listener.host == "127.0.0.1"
    assert settings.database.url is None
    assert settings.storage.secrets() == ()


def test_read_without_env_means_production() -> None:
    assert Settings.read({"GATEWAY_SECRET_KEY": SECRET}).process.env == "production"


def test_read_puts_variables_into_their_sections() -> None:
    settings = read(
        DATABASE_URL="postgresql://db/gateway",
        GATEWAY_DIRECT_DATABASE_URL="postgresql://direct/gateway",
        GATEWAY_PORT="0",
        GATEWAY_DATA_DIR="/var/lib/gateway",
        GATEWAY_TRIALS="true",
        GATEWAY_PACE_MIN_SECONDS="0.5",
        GATEWAY_LOG_LEVEL="DEBUG",
    )

    assert settings.database.url == "postgresql://db/gateway"
    assert settings.database.direct_url == "postgresql://direct/gateway"
    assert (settings.listener.port, settings.instances.trials) == (0, True)
    assert settings.queue.pace_min_seconds == 0.5
    assert settings.storage.data_dir == Path("/var/lib/gateway")
    assert settings.observability.log_level == "DEBUG"


def test_read_ignores_variables_without_the_prefix() -> None:
    assert read(HOME="/root", PGHOST="db", PORT="1", XGATEWAY_PORT="2").listener.port == 8080


@pytest.mark.parametrize("name", ["DATABASE_URL", "GATEWAY_SENTRY_DSN", "GATEWAY_NODE_NAME"])
def test_read_blank_variable_counts_as_absent(name: str) -> None:
    assert read(**{name: ""}) == read()


def test_read_unknown_variable_is_refused_by_name() -> None:
    message = refusal({**DEVELOPMENT, "GATEWAY_PACE_MINIMUM_SECONDS": "1"})

    assert message == "GATEWAY_PACE_MINIMUM_SECONDS is not a setting of this gateway"


def test_read_names_every_unknown_variable() -> None:
    message = refusal({**DEVELOPMENT, "GATEWAY_PROT": "1", "GATEWAY_HOTS": "x"})

    assert "GATEWAY_PROT is not a setting" in message
    assert "GATEWAY_HOTS is not a setting" in message


def test_read_prefixed_database_url_is_unknown() -> None:
    with pytest.raises(InvalidSettings, match="GATEWAY_DATABASE_URL is not a setting"):
        read(GATEWAY_DATABASE_URL="postgresql://prefixed", DATABASE_URL="postgresql://plain")


def test_read_skips_variables_with_foreign_prefixes() -> None:
    environment = {**DEVELOPMENT, "GATEWAY_SANDBOX_JOURNAL": "false"}

    assert Settings.read(environment, foreign_prefixes=["GATEWAY_SANDBOX_"]).is_development
    assert "GATEWAY_SANDBOX_JOURNAL is not a setting" in refusal(environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_PORT", "65536"),
        ("GATEWAY_ENV", "staging"),
        ("GATEWAY_MAX_ATTEMPTS", "0"),
        ("GATEWAY_LEASE_SECONDS", "1"),
        ("GATEWAY_SEND_TIMEOUT_SECONDS", "0"),
        ("GATEWAY_DATABASE_POOL_SIZE", "3"),
        ("GATEWAY_LOG_LEVEL", "debug"),
        ("GATEWAY_TRIALS", "perhaps"),
        ("GATEWAY_NODE_NAME", "x" * 41),
        ("GATEWAY_PACE_MIN_SECONDS", "-1"),
        ("GATEWAY_PACE_MIN_SECONDS", "nan"),
    ],
)
def test_read_invalid_value_is_refused_with_its_variable(name: str, value: str) -> None:
    message = refusal({**DEVELOPMENT, name: value})

    assert message.startswith(f"{name}: ")


def test_read_refusal_does_not_show_the_secret() -> None:
    message = refusal({"GATEWAY_SECRET_KEY": "short and secret"})

    assert "short and secret" not in message
    assert "GATEWAY_SECRET_KEY" in message


def test_read_pace_minimum_above_maximum_is_refused() -> None:
    message = refusal(
        {**DEVELOPMENT, "GATEWAY_PACE_MIN_SECONDS": "4", "GATEWAY_PACE_MAX_SECONDS": "3"}
    )

    assert message == "GATEWAY_PACE_MIN_SECONDS must not exceed GATEWAY_PACE_MAX_SECONDS"


@pytest.mark.parametrize("secret", ["", "x" * 31, f"{SECRET},short", "   ", ","])
def test_read_production_with_short_secrets_is_refused(secret: str) -> None:
    message = refusal({"GATEWAY_ENV": "production", "GATEWAY_SECRET_KEY": secret})

    assert "GATEWAY_SECRET_KEY" in message
    assert "32 characters" in message


def test_read_production_with_a_secret_of_few_characters_is_refused() -> None:
    message = refusal({"GATEWAY_ENV": "production", "GATEWAY_SECRET_KEY": "abcdefg" * 8})

    assert "fewer than 8 different characters" in message
    assert "new,old" in message
    assert "abcdefg" not in message


def test_read_a_weak_earlier_secret_still_decrypts() -> None:
    weak = "a" * 32
    settings = Settings.read({**PRODUCTION, "GATEWAY_SECRET_KEY": f"{SECRET},{weak}"})

    assert settings.storage.secrets() == (SECRET, weak)


def test_read_production_without_secret_is_refused() -> None:
    assert "GATEWAY_SECRET_KEY" in refusal({"GATEWAY_ENV": "production"})


def test_read_production_may_listen_on_any_address() -> None:
    assert Settings.read({**PRODUCTION, "GATEWAY_HOST": "0.0.0.0"}).listener.host == "0.0.0.0"


def test_secrets_returns_the_current_one_first() -> None:
    settings = Settings.read({**PRODUCTION, "GATEWAY_SECRET_KEY": f" {SECRET}a , {SECRET}b,"})

    assert settings.storage.secrets() == (f"{SECRET}a", f"{SECRET}b")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.10", "gateway.example.com", ""])
def test_read_development_on_a_reachable_host_is_refused(host: str) -> None:
    message = refusal({**DEVELOPMENT, "GATEWAY_HOST": host})

    assert f"GATEWAY_HOST={host} can be reached by others" in message
    assert "GATEWAY_ENV=production" in message
    assert "GATEWAY_ALLOW_REMOTE=true" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_read_development_on_loopback_is_accepted(host: str) -> None:
    assert read(GATEWAY_HOST=host).listener.host == host


def test_read_development_with_allow_remote_is_accepted() -> None:
    assert read(GATEWAY_HOST="0.0.0.0", GATEWAY_ALLOW_REMOTE="true").listener.allow_remote


def test_read_reports_unknown_and_invalid_variables_together() -> None:
    message = refusal({**DEVELOPMENT, "GATEWAY_PROT": "1", "GATEWAY_PORT": "http"})

    assert message.startswith("GATEWAY_PROT is not a setting of this gateway; GATEWAY_PORT: ")


def test_read_invalid_network_is_refused_in_one_sentence() -> None:
    message = refusal({**DEVELOPMENT, "GATEWAY_TRUSTED_PROXIES": "nowhere"})

    expected = "must be networks such as 10.0.0.0/8, with commas between"
    assert message == f"GATEWAY_TRUSTED_PROXIES: {expected}"


def test_sections_map_each_field_to_one_variable() -> None:
    names = [variable for _, section in Settings.sections() for _, variable in section.variables()]

    assert len(names) == len(set(names)) == len(Settings.defaults())
    assert {name for name in names if not name.startswith("GATEWAY_")} == {"DATABASE_URL"}


def test_sections_describe_each_field_in_one_sentence() -> None:
    texts = [
        field.description or ""
        for _name, section in Settings.sections()
        for field in section.model_fields.values()
    ]

    assert [text for text in texts if not text or text.endswith(".") or ". " in text] == []
