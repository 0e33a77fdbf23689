"""What content of other chats is without an erased person."""

from gateway.administration.erased_content import ErasedNames, with_both_spellings

ANA, LID = "5511988887777", "811111111111111@lid"
NAMES = ErasedNames(with_both_spellings([ANA, LID]))


def test_both_spellings_of_a_brazilian_mobile_number_are_one_person() -> None:
    assert with_both_spellings(["551188887777"]) == ["551188887777", ANA]
    assert with_both_spellings([ANA]) == ["551188887777", ANA]
    assert with_both_spellings(["551133334444", "4915112345678"]) == [
        "4915112345678",
        "551133334444",
    ]


def test_number_is_masked_as_people_write_it_and_no_other_is() -> None:
    assert NAMES.erased_from(f"@{ANA}, +55 (11) 8888-7777") == "@*************, ******************"
    assert NAMES.erased_from(f"{ANA}0 1{ANA} 5511977776666") == f"{ANA}0 1{ANA} 5511977776666"


def test_person_leaves_mentions_keys_quotes_and_cards() -> None:
    other = {"name": "Ben", "phones": ["5511977776666"]}
    content = {
        "mentioned": [ANA, "5511977776666", LID],
        "votes": {ANA: "yes", "5511977776666": "no"},
        "contextInfo": {"participant": f"{ANA}@s.whatsapp.net", "quotedMessage": {"x": "hers"}},
        "contacts": [{"name": "Ana", "phones": [ANA]}, other],
        "contact_name": "Ana",
        "contact_phone": ANA,
        "at": 5511988887777,
    }

    assert NAMES.have_card_in(content)
    assert not NAMES.have_card_in({"contacts": [other], "message": ANA})
    assert NAMES.erased_from(content) == {
        "mentioned": ["5511977776666"],
        "votes": {"5511977776666": "no"},
        "contextInfo": {"participant": "*************@s.whatsapp.net"},
        "contacts": [{"name": "erased", "phones": ["10000000000"]}, other],
        "contact_name": "erased",
        "contact_phone": "10000000000",
        "at": 5511988887777,
    }
