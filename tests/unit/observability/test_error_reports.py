"""An unexpected error is reported once, with tags and without secrets."""

from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from sentry_sdk.types import Event, Hint

from gateway import __version__
from gateway.errors import GatewayError, NotSupported, Refused
from gateway.observability.error_reports import configure_error_reports, report_error

DSN = "https://key@errors.example.com/1"


class Captured(Transport):
    """Collects the reports instead of sending them."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    @property
    def events(self) -> list[dict[str, Any]]:
        found = [envelope.get_event() for envelope in self.envelopes]
        return [dict(event) for event in found if event]


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    """The configuration of the gateway with a transport that collects reports."""
    captured, init = Captured(), sentry_sdk.init
    monkeypatch.setattr(sentry_sdk, "init", lambda **options: init(**options, transport=captured))
    configure_error_reports(DSN, environment="production")
    yield captured
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.get_global_scope().set_client(None)


def fail_with(error: Exception, token: str) -> None:
    assert token
    raise error


def report(error: Exception, **tags: Any) -> None:
    """Raises, catches and reports an error."""
    try:
        fail_with(error, "a secret token")
    except Exception as caught:  # noqa: BLE001 - any error
        report_error(caught, component="worker", **tags)


def test_report_error_sends_one_report_with_tags(sentry: Captured) -> None:
    report(ValueError("broken"), instance_id="I", message_type="send-text", severity="fatal")

    (event,) = sentry.events
    assert event["tags"] == {
        "component": "worker",
        "severity": "fatal",
        "instance_id": "I",
        "message_type": "send-text",
    }
    assert event["exception"]["values"][0]["type"] == "ValueError"
    assert event["environment"] == "production"
    assert event["release"] == __version__


def test_report_error_omits_unknown_tags(sentry: Captured) -> None:
    report(ValueError("broken"))

    (event,) = sentry.events
    assert event["tags"] == {"component": "worker", "severity": "error"}


def test_report_error_tags_do_not_reach_the_next_report(sentry: Captured) -> None:
    report(ValueError("one"), instance_id="I")
    report(ValueError("two"))

    assert "instance_id" not in sentry.events[1]["tags"]


@pytest.mark.parametrize("error", [GatewayError("a"), Refused("b"), NotSupported("c")])
def test_report_error_of_gateway_error_sends_nothing(sentry: Captured, error: GatewayError) -> None:
    report(error)

    assert sentry.envelopes == []


def test_report_error_log_line_sends_no_second_report(
    sentry: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    report(ValueError("broken"))

    assert len(sentry.envelopes) == 1


def test_report_holds_no_local_variables(sentry: Captured) -> None:
    report(ValueError("broken"))

    (event,) = sentry.events
    frames = event["exception"]["values"][0]["stacktrace"]["frames"]
    assert frames
    assert all("vars" not in frame for frame in frames)


def test_report_holds_only_the_method_of_a_request(sentry: Captured) -> None:
    def with_request(event: Event, _hint: Hint) -> Event:
        event["request"] = {
            "method": "POST",
            "url": "https://gateway/instances/I/token/SECRET/send-text",
            "headers": {"Client-Token": "SECRET"},
            "query_string": "token=SECRET",
            "data": {"message": "SECRET"},
            "cookies": {"a": "SECRET"},
            "env": {"REMOTE_ADDR": "SECRET"},
        }
        return event

    with sentry_sdk.new_scope() as scope:
        scope.add_event_processor(with_request)
        report(ValueError("broken"))

    (event,) = sentry.events
    assert event["request"] == {"method": "POST"}
    assert "SECRET" not in sentry.envelopes[0].serialize().decode()


def test_configure_error_reports_without_dsn_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(**_options: object) -> None:
        raise AssertionError("Sentry was configured")

    monkeypatch.setattr(sentry_sdk, "init", unexpected)

    configure_error_reports(None, environment="production")
    report(ValueError("broken"))
