"""A start in development creates the demo once, and writes its tokens for the owner only."""

import dataclasses
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from gateway.instances.creation import NewAccount, NewInstance, Registry
from gateway.instances.store import Instance
from gateway.runtime.demo import FILE_NAME, Demo, ensure_demo
from gateway.sessions.provider import ProviderStore, Simulation

URL = "http://127.0.0.1:8080"


async def no_scan(_store: ProviderStore, _instance_id: str) -> None:
    """The demo scans nothing: its phone is linked from the start."""


SIMULATION = Simulation(linked_settings={"linked": True}, sent_path="arrived", scan=no_scan)


def instance_called(instance_id: str) -> Instance:
    values: dict[str, Any] = {
        field.name: None for field in dataclasses.fields(Instance) if field.name != "id"
    }
    return Instance(id=instance_id, **{**values, "account_id": "ACCOUNT", "created_at": NOW})


NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Accounts:
    """Stands in for the Registry, which stores hashes: it returns each token once."""

    def __init__(self) -> None:
        self.demo: Instance | None = None
        self.made: list[dict[str, Any]] = []
        self.renewed = 0

    async def find_demo(self) -> Instance | None:
        return self.demo

    async def add_account(self, name: str, *, client_token_required: bool) -> NewAccount:
        self.made.append({"account": name, "client_token_required": client_token_required})
        return NewAccount("ACCOUNT", "CLIENT", "PARTNER")

    async def add_instance(self, account_id: str, name: str, **settings: Any) -> NewInstance:
        self.made.append({"instance": name, "account_id": account_id, **settings})
        self.demo = instance_called("INSTANCE")
        return NewInstance("INSTANCE", "TOKEN")

    async def renew_tokens(self, account_id: str) -> NewAccount:
        self.renewed += 1
        return NewAccount(account_id, f"CLIENT{self.renewed}", f"PARTNER{self.renewed}")

    def token_of(self, instance: Instance) -> str:
        return "TOKEN" if instance.id == "INSTANCE" else "OTHER TOKEN"


async def ensure(accounts: Accounts, folder: Path, base_url: str = URL) -> Demo:
    return await ensure_demo(
        cast("Registry", accounts), folder, base_url, provider="simulator", simulation=SIMULATION
    )


async def test_demo_first_start_creates_account_and_instance(tmp_path: Path) -> None:
    accounts = Accounts()

    demo = await ensure(accounts, tmp_path)

    assert demo == Demo(URL, "INSTANCE", "TOKEN", "CLIENT", "PARTNER")
    assert accounts.made == [
        {"account": "Demo", "client_token_required": True},
        {
            "instance": "Demo",
            "account_id": "ACCOUNT",
            "provider": "simulator",
            "provider_settings": {"linked": True},
            "demo": True,
        },
    ]


async def test_demo_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    await ensure(Accounts(), tmp_path)

    file = tmp_path / FILE_NAME
    assert file.read_text() == (
        f"BASE_URL={URL}\n"
        "INSTANCE_ID=INSTANCE\n"
        "INSTANCE_TOKEN=TOKEN\n"
        "CLIENT_TOKEN=CLIENT\n"
        "PARTNER_TOKEN=PARTNER\n"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_demo_later_start_returns_the_same_tokens(tmp_path: Path) -> None:
    accounts = Accounts()
    first = await ensure(accounts, tmp_path)
    accounts.made.clear()

    second = await ensure(accounts, tmp_path)

    assert second == first
    assert accounts.made == []
    assert accounts.renewed == 0


async def test_demo_other_address_is_written_with_the_same_tokens(tmp_path: Path) -> None:
    accounts = Accounts()
    await ensure(accounts, tmp_path)

    moved = await ensure(accounts, tmp_path, "http://127.0.0.1:9090")

    assert moved == Demo("http://127.0.0.1:9090", "INSTANCE", "TOKEN", "CLIENT", "PARTNER")
    assert "BASE_URL=http://127.0.0.1:9090\n" in (tmp_path / FILE_NAME).read_text()


async def test_demo_without_file_gives_the_account_new_tokens(tmp_path: Path) -> None:
    accounts = Accounts()
    await ensure(accounts, tmp_path)
    (tmp_path / FILE_NAME).unlink()

    demo = await ensure(accounts, tmp_path)

    assert demo == Demo(URL, "INSTANCE", "TOKEN", "CLIENT1", "PARTNER1")
    assert await ensure(accounts, tmp_path) == demo


async def test_demo_file_of_another_database_is_ignored(tmp_path: Path) -> None:
    await ensure(Accounts(), tmp_path)
    other = Accounts()
    other.demo = instance_called("OTHER")

    demo = await ensure(other, tmp_path)

    assert demo == Demo(URL, "OTHER", "OTHER TOKEN", "CLIENT1", "PARTNER1")


async def test_demo_incomplete_file_is_ignored(tmp_path: Path) -> None:
    accounts = Accounts()
    await ensure(accounts, tmp_path)
    (tmp_path / FILE_NAME).write_text("INSTANCE_ID=INSTANCE\nCLIENT_TOKEN=CLIENT\nnonsense\n")

    demo = await ensure(accounts, tmp_path)

    assert (demo.client_token, demo.partner_token) == ("CLIENT1", "PARTNER1")


async def test_welcome_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    demo = await ensure(Accounts(), tmp_path)
    welcome = demo.as_welcome("simulator", SIMULATION, docs=True, panel=True)

    assert f"curl -X POST '{URL}/instances/INSTANCE/token/TOKEN/send-text'" in welcome
    assert "-H 'Client-Token: CLIENT'" in welcome
    assert f"'{URL}/simulator/INSTANCE/arrived'" in welcome
    assert f"{URL}/panel/\n" in welcome
    assert "PARTNER" not in welcome
