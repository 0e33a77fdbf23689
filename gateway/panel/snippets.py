"""Programs to copy: each runs as it is shown once the API key stands in its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import Final

from gateway.panel.languages import N_

PLACEHOLDER: Final = "YOUR_API_KEY"
EXAMPLE_PHONE: Final = "5511999999999"
UNKNOWN_BASE_URL: Final = "https://gateway.example.com"

LANGUAGES: Final = {"curl": "curl", "php": "PHP", "node": "Node.js", "python": "Python"}


@dataclass(frozen=True, slots=True)
class Task:
    """Something that a program does; both texts are English msgids."""

    name: str
    title: str
    hint: str


TASKS: Final[Sequence[Task]] = (
    Task(
        "send",
        N_("Send a text"),
        N_("The answer has the ids of the message: it waits in the queue and leaves in its turn."),
    ),
    Task("queue", N_("See the queue"), N_("What waits to be sent, oldest first, and why.")),
)

_TEMPLATES: Final = {
    ("send", "curl"): """\
curl --fail-with-body -X POST "$url/send-text" \\
  -H "Content-Type: application/json" \\
  -d '{"phone": "$phone", "message": "Hello from curl"}'
""",
    ("queue", "curl"): """\
curl --fail-with-body "$url/queue?page=1&pageSize=20"
""",
    ("send", "php"): """\
<?php
$$url = '$url/send-text';
$$answer = file_get_contents($$url, false, stream_context_create(['http' => [
    'method' => 'POST',
    'header' => 'Content-Type: application/json',
    'content' => json_encode(['phone' => '$phone', 'message' => 'Hello from PHP']),
    'ignore_errors' => true,
]]));
echo $$answer, PHP_EOL;
""",
    ("queue", "php"): """\
<?php
$$url = '$url/queue?page=1&pageSize=20';
$$answer = file_get_contents($$url, false, stream_context_create(['http' => [
    'ignore_errors' => true,
]]));
foreach (json_decode($$answer, true) as $$message) {
    echo $$message['Phone'], ': ', $$message['WaitingReason'], PHP_EOL;
}
""",
    ("send", "node"): """\
const url = "$url/send-text";

async function main() {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ phone: "$phone", message: "Hello from Node.js" }),
  });
  console.log(answer.status, await answer.json());
}

main();
""",
    ("queue", "node"): """\
const url = "$url/queue?page=1&pageSize=20";

async function main() {
  const answer = await fetch(url);
  for (const message of await answer.json()) {
    console.log(message.Phone, message.WaitingReason);
  }
}

main();
""",
    ("send", "python"): """\
import json
import urllib.request

request = urllib.request.Request(
    "$url/send-text",
    data=json.dumps({"phone": "$phone", "message": "Hello from Python"}).encode(),
    headers={"Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer))
""",
    ("queue", "python"): """\
import json
import urllib.request

with urllib.request.urlopen("$url/queue?page=1&pageSize=20") as answer:
    for message in json.load(answer):
        print(message["Phone"], message["WaitingReason"])
""",
}


def snippet(task: str, language: str, *, base_url: str, instance_id: str) -> str:
    """Returns a program; *base_url* and *instance_id* hold no quote and no blank.

    Raises:
        KeyError: there is no such task or language.
    """
    url = f"{base_url}/instances/{instance_id}/token/{PLACEHOLDER}"
    return Template(_TEMPLATES[task, language]).substitute(url=url, phone=EXAMPLE_PHONE)
