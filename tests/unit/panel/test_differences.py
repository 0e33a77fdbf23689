"""What an action changed is read as names and values, and no digit of a secret is shown."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, cast

from gateway.panel.act_words import words_of_act
from gateway.panel.differences import differences, given_lines


@dataclass(frozen=True)
class Reader:
    """Somebody who reads English."""

    zone: tzinfo = UTC
    language: str = "en"

    def gettext(self, text: str) -> str:
        return text


READER = cast("Any", Reader())


def lines(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each.name, each.before, each.after) for each in differences(READER, before, after)]


def test_values_are_written_for_people() -> None:
    assert lines(
        {"paused": False, "daily_limit": None, "hold_until": None, "allowed_addresses": []},
        {
            "paused": True,
            "daily_limit": 200,
            "hold_until": "2026-01-31T12:00:00+00:00",
            "allowed_addresses": ["203.0.113.0/24", "198.51.100.7/32"],
        },
    ) == [
        ("Allowed addresses", "none", "203.0.113.0/24, 198.51.100.7/32"),
        ("Daily limit", "none", "200"),
        ("Held until", "none", "Jan 31, 2026, 12:00:00\u202fPM"),
        ("Paused", "no", "yes"),
    ]


def test_nested_values_are_lines_of_their_own_and_what_is_equal_is_none() -> None:
    webhook = "0b6f6c1e-4f43-4d8e-9a55-0d6c2f5b7a10"
    before = {webhook: {"url": "https://a.example", "enabled": True}}
    after = {webhook: {"url": "https://b.example", "enabled": True}}

    assert lines(before, after) == [("Address", "https://a.example", "https://b.example")]


def test_what_is_new_has_no_value_before_and_nothing_empty_is_listed() -> None:
    key = {"0123456789abcdef0123456789abcdef": {"name": "CRM", "networks": [], "scopes": ["read"]}}

    assert lines({}, key) == [("Name", "", "CRM"), ("Rights", "", "Read data")]
    assert lines({"consent": None}, {"consent": "revoked"}) == [("Consent", "none", "Opted out")]
    assert lines(key, {})[0] == ("Name", "CRM", "none")


def test_a_secret_is_only_said_to_have_changed() -> None:
    (token,) = differences(READER, {"token": "0123abcd"}, {"token": "89abcdef"})
    (added,) = differences(READER, {"proxy": None}, {"proxy": "0123abcd"})

    assert token.is_secret
    assert (token.before, token.after) == ("set", "set")
    assert (added.before, added.after) == ("none", "set")


def test_a_name_that_looks_like_a_time_or_digest_stays_a_name() -> None:
    assert lines({"name": "89abcdef"}, {"name": "2026-99-99 10:00"}) == [
        ("Name", "89abcdef", "2026-99-99 10:00")
    ]


def test_fields_of_a_request_and_actions_without_words_are_shown_by_name() -> None:
    assert given_lines(READER, {"user": "ana@example.com", "max_age_days": 3}) == [
        ("User", "ana@example.com"),
        ("max age days", "3"),
    ]
    assert words_of_act("RenameCollection") == "Rename collection"
    assert words_of_act("PauseQueue") == "Paused sending"
