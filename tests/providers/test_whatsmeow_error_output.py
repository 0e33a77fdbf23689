"""The error output of a child yields the one line that explains its end, without secrets."""

import pytest

from gateway.errors import DatabaseUnavailable
from gateway.providers.whatsmeow.failures import network_sentence, sentence_of
from gateway.whatsapp_web.error_output import ErrorOutput, masked
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed


def test_panic_is_the_reason_whatever_follows_it() -> None:
    words = ErrorOutput()
    words.add("panic: runtime error: invalid memory address")
    for number in range(500):
        words.add(f"goroutine {number} [running]:")
    assert words.reason == "panic: runtime error: invalid memory address"


def test_last_error_of_python_is_the_reason() -> None:
    words = ErrorOutput()
    for line in ("Traceback (most recent call last):", "ModuleNotFoundError: No module", ""):
        words.add(line)
    assert words.reason == "ModuleNotFoundError: No module"


def test_warning_about_a_missing_program_is_not_a_reason() -> None:
    words = ErrorOutput()
    words.add("[neonize.utils.ffmpeg WARNING] - ffmpeg not found: an Error")
    assert words.reason is None


@pytest.mark.parametrize(
    "text",
    [
        'parse "postgresql:///?host=db&password=s%20ecret&port=1": invalid',
        "dial socks5://user:secret@proxy:1080 failed",
        r"password='it\'s secret' host=db",
        "proxyconnect http://user:p@ss:secret@proxy:1: refused",
    ],
)
def test_passwords_are_masked(text: str) -> None:
    assert "ecret" not in masked(text)
    assert "***" in masked(text)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ChildGone(), "it is being started again"),
        (ChildGone("failed to upgrade database: pq: no"), "key store in Postgres does not open: "),
        (VerbFailed("KeyStoreClosed", "pq: no"), "key store in Postgres does not open: pq: no"),
        (DatabaseUnavailable("it is away"), "key store in Postgres does not open: it is away"),
        (ChildGone("ModuleNotFoundError: No module named 'neonize'"), "extra `whatsmeow`"),
        (ChildGone("panic: nil"), "process ended: panic: nil"),
        (FileNotFoundError("no python"), "did not start: FileNotFoundError no python"),
    ],
)
def test_failure_becomes_one_sentence(error: Exception, sentence: str) -> None:
    assert sentence in sentence_of(error)


DIAL = "failed to dial whatsapp web websocket: failed to WebSocket dial: failed to send: Get: "


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("dial tcp: lookup web.whatsapp.com on 10.0.0.1:53: no such host", "is not found: check"),
        ("tls: failed to verify certificate: x509: unknown authority", "shows a certificate"),
        ("dial tcp 1.2.3.4:443: connect: connection refused", "refuses the connection"),
        ("dial tcp 1.2.3.4:443: i/o timeout", "does not answer"),
        ("read tcp: read: connection reset by peer", "during the TLS handshake"),
        ("proxyconnect tcp: dial tcp 127.0.0.1:1: connection refused", "The proxy does not lead"),
        ("expected handshake response status code 101 but got 403", "Something else answers"),
        ("dial tcp 1.2.3.4:443: connect: network is unreachable", "There is no route"),
        ("what nobody thought of", "cannot be reached: "),
    ],
)
def test_network_sentence_names_the_fault(said: str, sentence: str) -> None:
    assert sentence in sentence_of(ChildGone(DIAL + said))
    assert sentence in (network_sentence(f"Error reconnecting: {DIAL}{said}") or "")


def test_other_errors_are_not_network_faults() -> None:
    assert network_sentence("pq: connection refused") is None


def test_network_sentence_of_unknown_fault_masks_passwords() -> None:
    sentence = network_sentence(f"{DIAL}socks5://user:secret@proxy:1080: odd")
    assert sentence
    assert "secret" not in sentence
