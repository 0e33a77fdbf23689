"""What the gateway answers in English is said in the language of the page."""

import re

import pytest

from gateway.contract.building import build
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import (
    BodyTooLarge,
    CallerError,
    Conflict,
    InstanceNotConnected,
    InvalidRequest,
    NotSupported,
    QueueFull,
    StorageLimitReached,
    TooManyRequests,
    TrialOver,
)
from gateway.panel.gateway_answers import answer_text, known_answer
from gateway.panel.known_texts import SENTENCES
from gateway.panel.languages import LANGUAGES, Translated
from gateway.users.store import Language

_LEADS = {"pt-BR": "O gateway diz: ", "es": "El gateway dice: "}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (QueueFull(9, connected=False), "A fila está cheia: cabem no máximo 9 mensagens."),
        (
            TooManyRequests("account", retry_after_seconds=1, things="sign-ins"),
            "Requisições demais. Espere um momento e tente de novo.",
        ),
        (BodyTooLarge(9), "O que você enviou é maior do que o permitido."),
        (InstanceNotConnected(), "O celular está sem conexão."),
        (
            TrialOver(),
            "As mensagens são recusadas até o número ter uma assinatura.",
        ),
        (
            NotSupported("SendText is not supported by the sandbox provider. It needs a phone"),
            "Este tipo de conexão não consegue fazer isso.",
        ),
        (
            Conflict("The message is sent and no longer waits"),
            "A mensagem não está mais na fila.",
        ),
        (InvalidRequest("name: must have 1 to 255 printable characters"), "Nome: precisa ter"),
        (InvalidRequest("The current password is wrong"), "A senha atual está errada"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_error_is_said_in_the_language(error: CallerError, said: str) -> None:
    assert answer_text("pt-BR", error).startswith(said)


def test_error_of_a_full_storage_is_said_in_the_language() -> None:
    error = StorageLimitReached(used_bytes=9, limit_bytes=9)

    assert answer_text("es", error).startswith("No queda espacio para archivos")


def test_validation_error_names_the_field_in_the_language() -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(SendText, {"phone": "5511999999999"})

    assert answer_text("pt-BR", caught.value) == "Mensagem: preencha este campo"


@pytest.mark.parametrize("language", LANGUAGES)
def test_unknown_error_stays_as_it_is_behind_a_lead(language: Language) -> None:
    said = answer_text(language, InvalidRequest("The moon is out of range"))

    assert said == _LEADS.get(language, "") + "The moon is out of range"


def test_text_of_a_page_gets_no_lead() -> None:
    assert answer_text("pt-BR", InvalidRequest(Translated("Escolha um dia."))) == "Escolha um dia."


def test_reason_inside_an_answer_is_said_too() -> None:
    said = known_answer("pt-BR", "unconfirmed: no answer within 60 seconds")

    assert said == "Talvez tenha sido enviada: sem resposta em 60 segundos"


def test_requirement_as_a_sentence_begins_with_a_capital() -> None:
    assert known_answer("pt-BR", "Must be a whole number").startswith("Precisa ")


def test_unknown_answer_stays_as_it_is() -> None:
    assert known_answer("pt-BR", "image: the moon") == "image: the moon"
    assert known_answer("pt-BR", "") == ""


@pytest.mark.parametrize("pattern", SENTENCES)
def test_sentence_has_the_values_of_its_pattern(pattern: str) -> None:
    named = set(re.compile(pattern).groupindex)

    assert set(re.findall(r"%\((\w+)\)s", SENTENCES[pattern])) <= named
