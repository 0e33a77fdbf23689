"""The check that keeps old words out of code, SQL and documents."""

from pathlib import Path

import pytest

from tests.vocabulary import ALLOWED, HISTORIC, PHRASES, WORDS, findings, main, old_words


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("whoever asks is told", ["told", "whoever"]),
        ("class QueueDesk:", ["desk"]),
        ("def take_seat(self) -> None:", ["seat"]),
        ("is_under_way = True", ["under way"]),
        ("class LookAgain:", ["look again"]),
        ("the bedroom, the deskbar, a broad road", ["road"]),
        ("HTTPBell", ["bell"]),
        ("a queued message is in flight", []),
    ],
)
def test_old_words_are_found_in_prose_and_identifiers(line: str, found: list[str]) -> None:
    assert sorted(old_words(line)) == found


@pytest.mark.parametrize(
    "line",
    ["a dead letter", "webhook_dead_letters", "DeadLetters", "from event_roads r", "kept_in text"],
)
def test_old_words_leaves_terms_and_historic_names_alone(line: str) -> None:
    assert list(old_words(line)) == []


def test_findings_name_path_line_and_word(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Title\n\nNobody waits.\nNo phone rings.\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "glossary.md").write_text("desk: context\n")

    found = list(findings(tmp_path))

    assert [(finding.path, finding.line, finding.word) for finding in found] == [
        ("README.md", 3, "nobody")
    ]


def test_each_exception_has_a_reason() -> None:
    assert all(HISTORIC.values())
    assert all(reason for _path, _word, reason in ALLOWED)


def test_each_exception_names_a_word_that_is_looked_for() -> None:
    single = {word for _path, word, _reason in ALLOWED if word != "*" and " " not in word}

    assert single <= WORDS.keys()
    assert not WORDS.keys() & PHRASES.keys()


def test_documents_have_no_old_words() -> None:
    generated = "docs/settings.md"  # its texts are those of the settings

    found = [
        f"{finding.path}:{finding.line}: {finding.word}"
        for finding in findings()
        if finding.path.endswith(".md") and finding.path != generated
    ]

    assert found == []


def test_main_succeeds_where_nothing_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs/glossary.md"]) == 0
    assert "0 old words" in capsys.readouterr().out
