"""compose.yaml, the panels' templates and the workflow say what the gateway understands."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import gateway
from gateway.environment import variable_name
from gateway.providers.sandbox.settings import PREFIX as SANDBOX
from gateway.providers.sandbox.settings import SandboxSettings
from gateway.providers.whatsmeow.settings import PREFIX as WHATSMEOW
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ROOT / "compose.yaml"
COOLIFY = DEPLOY / "coolify" / "gateway.yaml"
PORTAINER = DEPLOY / "portainer" / "stack.yaml"
TEMPLATES = DEPLOY / "portainer" / "templates.json"
EXAMPLE = DEPLOY / "gateway.env.example"
WORKFLOW = ROOT / ".github" / "workflows" / "image.yaml"
IMAGE = f"ghcr.io/OWNER/gateway:{gateway.__version__}"
KNOWN = {
    *Settings.defaults(),
    *(variable_name(field, SANDBOX) for field in SandboxSettings.model_fields),
    *(variable_name(field, WHATSMEOW) for field in WhatsmeowSettings.model_fields),
}
FILES = sorted(path for path in [COMPOSE, WORKFLOW, *DEPLOY.rglob("*")] if path.is_file())


def shown(file: Path) -> str:
    return str(file.relative_to(ROOT))


def services(file: Path) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = yaml.safe_load(file.read_text())["services"]
    return found


def environment(service: Mapping[str, Any]) -> Mapping[str, str]:
    """The variables of a service, which Coolify's templates write as a list."""
    given = service.get("environment", {})
    if isinstance(given, dict):
        return given
    return dict(entry.partition("=")[::2] for entry in given)


def required(file: Path) -> set[str]:
    """What compose asks for before it starts anything."""
    return set(re.findall(r"\$\{(\w+):\?", file.read_text()))


def easypanel_template() -> Mapping[str, Any]:
    script = ["sh", str(DEPLOY / "easypanel" / "template.sh")]
    run = subprocess.run(script, check=True, capture_output=True, text=True)
    template: Mapping[str, Any] = json.loads(run.stdout)
    return template


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_every_setting_named_is_a_setting(file: Path) -> None:
    assert set(re.findall(r"\bGATEWAY_[A-Z0-9_]*[A-Z0-9]\b", file.read_text())) <= KNOWN


def test_a_misspelt_setting_would_be_found() -> None:
    assert "GATEWAY_SECRET_KEYS" not in KNOWN
    assert {"DATABASE_URL", "GATEWAY_PUBLIC_URL", "GATEWAY_WHATSMEOW_KEYS"} <= KNOWN


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_every_image_of_the_gateway_has_one_name(file: Path) -> None:
    named = re.findall(r"ghcr\.io/[\w./-]+(?::[\w.]+)?", file.read_text())

    assert set(named) <= {IMAGE, "ghcr.io/"}


def test_every_panel_runs_the_published_image() -> None:
    meta = yaml.safe_load((DEPLOY / "easypanel" / "meta.yaml").read_text())
    app = easypanel_template()["services"][0]

    assert services(COOLIFY)["gateway"]["image"] == IMAGE
    assert services(PORTAINER)["gateway"]["image"] == IMAGE
    assert meta["schema"]["properties"]["appServiceImage"]["default"] == IMAGE
    assert app["data"]["source"]["image"] == IMAGE


@pytest.mark.parametrize(("file", "count"), [(COMPOSE, 5), (PORTAINER, 2)])
def test_every_service_is_hardened_and_limited(file: Path, count: int) -> None:
    found = services(file)
    open_to_writes = {name for name, service in found.items() if not service["read_only"]}

    assert len(found) == count
    for service in found.values():
        assert service["cap_drop"] == ["ALL"]
        assert "cap_add" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"] > 0
        assert "privileged" not in service
    assert open_to_writes <= {"kafka"}


def test_no_service_is_published_beyond_this_machine() -> None:
    ports = [port for service in services(COMPOSE).values() for port in service.get("ports", ())]

    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_asks_for_what_production_needs() -> None:
    assert required(COMPOSE) == {
        "GATEWAY_PUBLIC_URL",
        "GATEWAY_SECRET_KEY",
        "GRAFANA_PASSWORD",
        "POSTGRES_PASSWORD",
    }
    assert services(COMPOSE)["gateway"]["env_file"] == [".env"]


def test_kafka_starts_only_in_its_profile() -> None:
    profiles = {name: service.get("profiles") for name, service in services(COMPOSE).items()}

    assert profiles.pop("kafka") == ["kafka"]
    assert set(profiles.values()) == {None}


def test_the_commands_of_the_example_make_a_whole_environment(tmp_path: Path) -> None:
    """The commands at the head of the example, as a person pastes them."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    comment = EXAMPLE.read_text().partition("\n\n")[0]
    commands = re.findall(r"^#   (.*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert "cp -n deploy/gateway.env.example .env" in comment

    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=tmp_path, check=True)
    first = (tmp_path / ".env").read_text()
    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=tmp_path, check=True)

    assert (tmp_path / ".env").read_text() == first  # no secret is replaced
    written = dict(
        line.split("=", 1)
        for line in (tmp_path / ".env").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert {name for name, value in written.items() if not value} == {"GATEWAY_PUBLIC_URL"}
    assert set(written) == required(COMPOSE)
    of_gateway = {name: value for name, value in written.items() if name.startswith("GATEWAY_")}
    assert Settings.read({**of_gateway, "GATEWAY_HOST": "0.0.0.0"}).storage.secrets()


def test_every_line_of_the_example_can_be_uncommented() -> None:
    lines = re.findall(r"^# (GATEWAY_\w+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    secret = {"GATEWAY_SECRET_KEY": "x0123456789abcdef0123456789abcdef"}

    settings = Settings.read({**dict(lines), **secret})

    assert len(lines) > 5
    assert settings.process.workers == 2
    assert settings.kafka.servers == "kafka:9092"


@pytest.mark.parametrize("workers", [None, "1", "3"])
def test_prometheus_scrapes_every_worker(workers: str | None, tmp_path: Path) -> None:
    """Each worker has the next internal port."""
    given = {} if workers is None else {"GATEWAY_WORKERS": workers}
    run = subprocess.run(
        ["sh", str(DEPLOY / "prometheus.sh"), "echo", "started"],
        env={"PATH": os.environ["PATH"], "TARGETS": str(tmp_path), **given},
        check=True,
        capture_output=True,
        text=True,
    )

    (group,) = json.loads((tmp_path / "gateway.json").read_text())
    first = int(str(Settings.defaults()["GATEWAY_INTERNAL_PORT"]))
    ports = range(first, first + int(workers or 1))
    assert group == {"targets": [f"gateway:{port}" for port in ports]}
    assert run.stdout == "started\n"


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5", "1 2", "9" * 30])
def test_prometheus_refuses_an_invalid_number_of_workers(workers: str, tmp_path: Path) -> None:
    run = subprocess.run(
        ["sh", str(DEPLOY / "prometheus.sh"), "echo", "started"],
        env={"PATH": os.environ["PATH"], "TARGETS": str(tmp_path), "GATEWAY_WORKERS": workers},
        check=False,
        capture_output=True,
        text=True,
    )

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "GATEWAY_WORKERS must be a whole number above 0\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "docs/pt-BR/README.md"])
def test_pages_make_the_environment_as_the_example_does(page: str, tmp_path: Path) -> None:
    commands = re.findall(r"^    ((?:cp -n|for name) .*)$", (ROOT / page).read_text(), re.MULTILINE)
    shutil.copytree(DEPLOY, tmp_path / "deploy")

    for _ in range(2):
        subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=tmp_path, check=True)

    written = re.findall(r"^(\w+)=", (tmp_path / ".env").read_text(), re.MULTILINE)
    assert sorted(written) == sorted(required(COMPOSE))
    assert "    docker compose up -d --build\n" in (ROOT / page).read_text()


@pytest.mark.parametrize("image", ['a"b', "a b", "a$(id)", "a\\n"])
def test_easypanel_refuses_an_image_that_json_would_break(image: str) -> None:
    script = ["sh", str(DEPLOY / "easypanel" / "template.sh"), image]
    run = subprocess.run(script, check=False, capture_output=True, text=True)

    assert (run.returncode, run.stdout) == (1, "")


def test_portainer_listens_on_this_machine_only() -> None:
    assert services(PORTAINER)["gateway"]["ports"] == [
        "${BIND_ADDRESS:-127.0.0.1}:${PORT:-8080}:8080"
    ]


def test_prometheus_reads_the_targets_that_are_written() -> None:
    service = services(COMPOSE)["prometheus"]
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    (script,) = [inside for outside, inside in mounts.items() if outside.endswith("prometheus.sh")]
    config = yaml.safe_load((ROOT / "gateway/observability/monitoring/prometheus.yaml").read_text())
    (job,) = config["scrape_configs"]
    (files,) = job["file_sd_configs"]

    assert service["entrypoint"] == ["/bin/sh", script]
    assert files == {"files": ["/etc/prometheus/targets/*.json"]}
    assert "/etc/prometheus/targets" in service["tmpfs"]
    assert service["environment"] == {"GATEWAY_WORKERS": "${GATEWAY_WORKERS:-1}"}
    first = str(Settings.defaults()["GATEWAY_INTERNAL_PORT"])
    assert services(COMPOSE)["gateway"]["environment"]["GATEWAY_INTERNAL_PORT"] == first


def test_every_mounted_file_exists() -> None:
    mounted = [
        volume.split(":")[0]
        for service in services(COMPOSE).values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]

    assert len(mounted) == 5
    assert all((ROOT / path).is_file() for path in mounted)


def test_coolify_makes_domain_and_secrets() -> None:
    text = COOLIFY.read_text()
    given = environment(services(COOLIFY)["gateway"])
    header = dict(re.findall(r"^# (\w+): (.+)$", text, re.MULTILINE))

    assert set(header) == {"documentation", "slogan", "category", "tags", "logo", "port"}
    assert given[f"SERVICE_URL_GATEWAY_{header['port']}"] == ""
    assert given["GATEWAY_PUBLIC_URL"] == "${SERVICE_URL_GATEWAY}"
    assert given["GATEWAY_SECRET_KEY"] == "${SERVICE_PASSWORD_64_GATEWAY}"
    assert "${SERVICE_PASSWORD_POSTGRES}" in given["DATABASE_URL"]
    postgres = environment(services(COOLIFY)["postgres"])
    assert postgres["POSTGRES_PASSWORD"] == "${SERVICE_PASSWORD_POSTGRES}"


def test_easypanel_has_one_template_in_two_forms() -> None:
    app, database = easypanel_template()["services"]
    given = dict(line.split("=", 1) for line in app["data"]["env"].splitlines())
    source = (DEPLOY / "easypanel" / "index.ts").read_text()

    assert set(given) == set(re.findall(r"`([A-Z_]+)=", source))
    assert database["data"]["password"] in given["DATABASE_URL"]
    assert f"_{database['data']['serviceName']}:5432/gateway" in given["DATABASE_URL"]
    assert len(given["GATEWAY_SECRET_KEY"]) == 64
    again = easypanel_template()["services"][0]["data"]["env"]
    assert given["GATEWAY_SECRET_KEY"] not in again


def test_portainer_asks_for_every_variable_of_its_stack() -> None:
    document = json.loads(TEMPLATES.read_text())
    (template,) = document["templates"]
    asked = {one["name"]: one for one in template["env"]}

    assert document["version"] == "3"
    assert template["type"] == 3
    assert ROOT / template["repository"]["stackfile"] == PORTAINER
    assert set(asked) == set(re.findall(r"\$\{(\w+):", PORTAINER.read_text()))
    assert {name for name, one in asked.items() if "default" not in one} == required(PORTAINER)
    assert all(one["label"] for one in asked.values())


def test_the_workflow_publishes_after_the_tests() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    image = workflow["jobs"]["image"]
    (push,) = [step["with"] for step in image["steps"] if step.get("id") == "push"]

    # YAML 1.1 reads the word `on` as true.
    assert list(workflow[True]["push"]) == ["tags"]
    assert image["needs"] == "test"
    assert any(step.get("run") == ".ci/run" for step in workflow["jobs"]["test"]["steps"])
    assert workflow["permissions"] == {"contents": "read"}
    assert image["permissions"]["packages"] == "write"
    assert push["platforms"] == "linux/amd64,linux/arm64"
    assert push["provenance"] == "mode=max"


@pytest.mark.parametrize("file", [COMPOSE, COOLIFY, PORTAINER], ids=shown)
def test_compose_itself_accepts_it(file: Path, tmp_path: Path) -> None:
    compose = ["docker", "compose"]
    if (
        not shutil.which("docker")
        or subprocess.run([*compose, "version"], check=False, capture_output=True).returncode
    ):
        pytest.skip("the compose plugin of docker is not installed")
    filled = "".join(f"{name}={'x' * 32}\n" for name in required(file))
    folder = tmp_path / "installation"
    folder.mkdir()
    shutil.copy(file, folder / "compose.yaml")
    (folder / ".env").write_text(filled)

    run = subprocess.run(
        [*compose, "--profile", "*", "config", "--quiet"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr
