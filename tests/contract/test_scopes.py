"""Every route names the right that it needs, and no answer without `manage` shows a secret."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from gateway.contract.catalogue import catalogue
from gateway.contract.scopes import ALL_SCOPES, SCOPE_MEANINGS, SCOPES_OF_ROLE, ApiScope, UserRole
from gateway.contract.secret_fields import (
    SECRET,
    SECRET_URL,
    SecretField,
    _fields_with_secrets,
    without_secrets,
)
from gateway.contract.wire import Wire
from gateway.contract.zapi.instances import Me, ReadMe
from gateway.contract.zapi.partner import InstancePage, ListInstances

OPERATIONS = sorted(set(catalogue().operations.values()), key=lambda each: each.__name__)
SECRET_NAME = re.compile(r"token|secret|password|(?<!dead_)key$|pin$|_url$|ciphertext")
HARMLESS = {
    # Masked where they are made: `http://user:***@host`.
    ("ProxyState", "proxy_url"),
    ("ProxyCheck", "proxy_url"),
    # WhatsApp's links to pictures.
    ("ContactDetails", "img_url"),
    ("Device", "img_url"),
}


def models_in(kind: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    """Yields the models that an answer of this type may hold."""
    if kind in seen:
        return
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        seen.add(kind)
        yield kind
        for field in kind.model_fields.values():
            yield from models_in(field.annotation, seen)
    for inner in get_args(kind):
        yield from models_in(inner, seen)


def test_every_operation_names_its_own_scope() -> None:
    """A scope is not inherited: gateway/contract/scopes.py says what each one means."""
    without = [op.__name__ for op in OPERATIONS if not isinstance(vars(op).get("scope"), ApiScope)]

    assert without == []


def test_every_send_needs_send() -> None:
    assert {send.scope for send in catalogue().sends.values()} == {ApiScope.SEND}


def test_reads_change_nothing_and_changes_are_no_reads() -> None:
    """Of what is audited, only a ticket for events needs no more than `read`."""
    audited = {op.__name__ for op in OPERATIONS if op.is_audited() and op.scope is ApiScope.READ}

    assert (
        audited
        == {
            "CheckPhones",
            "IssueEventTicket",
            "ListQueue",
            "ReadCatalog",
            "ReadInvitationLink",
            "ReadOwnCatalog",
            "SearchNewsletters",
        }
        & audited
    )
    assert "IssueEventTicket" in audited


def test_answers_without_manage_mark_their_secrets() -> None:
    seen: set[Any] = set()
    unmarked = {
        (model.__name__, name)
        for operation in OPERATIONS
        if operation.scope not in {ApiScope.MANAGE, ApiScope.WEBHOOKS}
        for model in models_in(operation.result_type(), seen)
        for name, field in model.model_fields.items()
        if SECRET_NAME.search(name)
        and str in (field.annotation, *get_args(field.annotation))
        and not any(isinstance(mark, SecretField) for mark in field.metadata)
    }

    assert unmarked == HARMLESS
    for model in seen:
        _fields_with_secrets(model)  # ends also where a model holds itself


def test_masking_keeps_types_and_hides_tokens_however_deep() -> None:
    me = Me.model_validate({**dict.fromkeys(Me.model_fields), **ReadMe.answer_example})
    page = InstancePage.model_validate(ListInstances.answer_example)

    shown = without_secrets(me)
    listed = without_secrets(page)

    assert isinstance(shown, Me)
    assert isinstance(listed, InstancePage)
    assert (shown.token, shown.name) == ("", me.name)
    assert listed.content[0].token == ""
    assert listed.content[0].received_callback_url == "https://example.com"
    assert page.content[0].token != ""
    assert without_secrets("OK") == "OK"
    assert without_secrets([me, "x"]) == [shown, "x"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@hook.example.com:8443/T/B?token=1#x", "https://hook.example.com:8443"),
        ("https://[bad", ""),
        ("", ""),
    ],
)
def test_of_a_url_only_the_host_is_shown(url: str, shown: str) -> None:
    assert SECRET_URL.masked(url) == shown
    assert SECRET.masked(url) == ""
    assert SECRET_URL.masked(None) is None


def test_roles_have_what_they_are_for() -> None:
    assert set(SCOPES_OF_ROLE) == set(UserRole)
    assert set(SCOPE_MEANINGS) == ALL_SCOPES
    assert all(ApiScope.PANEL in scopes for scopes in SCOPES_OF_ROLE.values())
    assert [
        role
        for role, scopes in SCOPES_OF_ROLE.items()
        if scopes & {ApiScope.MANAGE, ApiScope.WEBHOOKS}
    ] == [UserRole.OPERATOR, UserRole.OWNER]
    assert ApiScope.SEND not in SCOPES_OF_ROLE[UserRole.VIEWER]


def test_a_wire_model_without_secrets_is_returned_as_it_is() -> None:
    class Plain(Wire):
        name: str

    plain = Plain(name="x")
    assert without_secrets(plain) is plain
