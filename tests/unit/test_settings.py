"""What the environment says, and what a process refuses to start with."""

from pathlib import Path

import pytest

from gateway.environment import variable_name
from gateway.errors import InvalidSettings
from gateway.settings import Settings

SECRET = "s" * 32
DEVELOPMENT = {"GATEWAY_ENV": "development"}
PRODUCTION = {"GATEWAY_ENV": "production", "GATEWAY_SECRET_KEY": SECRET}


def read(**environment: str) -> Settings:
    return Settings.read({**DEVELOPMENT, **environment})


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(InvalidSettings) as caught:
        Settings.read(environment)
    return str(caught.value)


def test_development_needs_nothing_else() -> None:
    settings = read()

    assert settings.host == "127.0.0.1"
    assert settings.database_url is None
    assert settings.secrets() == ()


def test_production_is_what_you_get_if_you_say_nothing() -> None:
    assert Settings.read({"GATEWAY_SECRET_KEY": SECRET}).env == "production"


def test_every_variable_is_read_under_its_name() -> None:
    settings = read(
        DATABASE_URL="postgresql://db/gateway",
        GATEWAY_DIRECT_DATABASE_URL="postgresql://direct/gateway",
        GATEWAY_PORT="0",
        GATEWAY_DATA_DIR="/var/lib/gateway",
        GATEWAY_TRIALS="true",
        GATEWAY_PACE_MIN_SECONDS="0.5",
        GATEWAY_LOG_LEVEL="DEBUG",
    )

    assert settings.database_url == "postgresql://db/gateway"
    assert settings.direct_database_url == "postgresql://direct/gateway"
    assert (settings.port, settings.trials, settings.pace_min_seconds) == (0, True, 0.5)
    assert settings.data_dir == Path("/var/lib/gateway")
    assert settings.log_level == "DEBUG"


def test_variables_of_others_are_not_ours() -> None:
    assert read(HOME="/root", PGHOST="db", PORT="1", XGATEWAY_PORT="2").port == 8080


@pytest.mark.parametrize("name", ["DATABASE_URL", "GATEWAY_SENTRY_DSN", "GATEWAY_NODE_NAME"])
def test_a_blank_variable_is_an_absent_one(name: str) -> None:
    assert read(**{name: ""}) == read()


def test_a_misspelt_name_is_refused_and_named() -> None:
    message = refusal({**DEVELOPMENT, "GATEWAY_PACE_MINIMUM_SECONDS": "1"})

    assert message == "GATEWAY_PACE_MINIMUM_SECONDS is not a setting of this gateway"


def test_every_misspelt_name_is_named() -> None:
    message = refusal({**DEVELOPMENT, "GATEWAY_PROT": "1", "GATEWAY_HOTS": "x"})

    assert "GATEWAY_PROT is not a setting" in message
    assert "GATEWAY_HOTS is not a setting" in message


def test_a_prefixed_database_url_is_no_second_name() -> None:
    with pytest.raises(InvalidSettings, match="GATEWAY_DATABASE_URL is not a setting"):
        read(GATEWAY_DATABASE_URL="postgresql://prefixed", DATABASE_URL="postgresql://plain")


def test_what_others_read_for_themselves_is_left_to_them() -> None:
    environment = {**DEVELOPMENT, "GATEWAY_SANDBOX_JOURNAL": "false"}

    assert Settings.read(environment, foreign_prefixes=["GATEWAY_SANDBOX_"]).env == "development"
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
def test_an_unusable_value_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    message = refusal({**DEVELOPMENT, name: value})

    assert message.startswith(f"{name}: ")


def test_a_refusal_does_not_repeat_a_secret() -> None:
    message = refusal({"GATEWAY_SECRET_KEY": "short and secret"})

    assert "short and secret" not in message
    assert "GATEWAY_SECRET_KEY" in message


def test_a_pause_must_not_end_before_it_begins() -> None:
    message = refusal(
        {**DEVELOPMENT, "GATEWAY_PACE_MIN_SECONDS": "4", "GATEWAY_PACE_MAX_SECONDS": "3"}
    )

    assert message == "GATEWAY_PACE_MIN_SECONDS must not exceed GATEWAY_PACE_MAX_SECONDS"


@pytest.mark.parametrize("secret", ["", "x" * 31, f"{SECRET},short", "   ", ","])
def test_production_without_good_secrets_is_refused(secret: str) -> None:
    message = refusal({"GATEWAY_ENV": "production", "GATEWAY_SECRET_KEY": secret})

    assert "GATEWAY_SECRET_KEY" in message
    assert "32 characters" in message


def test_production_without_any_secret_is_refused() -> None:
    assert "GATEWAY_SECRET_KEY" in refusal({"GATEWAY_ENV": "production"})


def test_production_may_listen_anywhere() -> None:
    assert Settings.read({**PRODUCTION, "GATEWAY_HOST": "0.0.0.0"}).host == "0.0.0.0"


def test_secrets_are_listed_the_current_one_first() -> None:
    settings = Settings.read({**PRODUCTION, "GATEWAY_SECRET_KEY": f" {SECRET}a , {SECRET}b,"})

    assert settings.secrets() == (f"{SECRET}a", f"{SECRET}b")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.10", "gateway.example.com", ""])
def test_development_where_others_can_reach_it_is_refused(host: str) -> None:
    message = refusal({**DEVELOPMENT, "GATEWAY_HOST": host})

    assert f"GATEWAY_HOST={host} can be reached by others" in message
    assert "GATEWAY_ENV=production" in message
    assert "GATEWAY_ALLOW_REMOTE=true" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_development_on_this_machine_is_fine(host: str) -> None:
    assert read(GATEWAY_HOST=host).host == host


def test_development_may_be_opened_on_purpose() -> None:
    assert read(GATEWAY_HOST="0.0.0.0", GATEWAY_ALLOW_REMOTE="true").allow_remote


def test_a_variable_name_leads_back_to_its_field() -> None:
    assert variable_name("port") == "GATEWAY_PORT"
    assert variable_name("database_url") == "DATABASE_URL"


def test_every_field_is_described() -> None:
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []
