"""Everything that is read from the environment, once, at start.

section.py           the base class of a section
node_sections.py     process, listeners, data directory, database, nodes, logs
message_sections.py  requests, instances, media
queue_section.py     the queues
connection_section.py  connections of instances
event_sections.py    webhooks, Kafka, URLs
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from gateway.environment import PREFIX, read_sections
from gateway.public_address import AddressPolicy
from gateway.settings.account_section import AccountLimits, AccountSection
from gateway.settings.connection_section import ConnectionSection
from gateway.settings.event_sections import KafkaSection, UrlSection, WebhookSection
from gateway.settings.link_section import LinkSection
from gateway.settings.message_sections import (
    HttpSection,
    InstanceSection,
    MediaSection,
)
from gateway.settings.node_sections import (
    DatabaseSection,
    ListenerSection,
    NodeSection,
    ObservabilitySection,
    ProcessSection,
    StorageSection,
)
from gateway.settings.queue_section import QueueSection
from gateway.settings.section import SettingsSection

_MIN_SECRET_LENGTH = 32
_MIN_DISTINCT_CHARACTERS = 8  # 32 random hexadecimal digits have fewer once in 100 million times
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class Settings(BaseModel):
    """The settings of this process, in the order of docs/settings.md; times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: ProcessSection
    listener: ListenerSection
    storage: StorageSection
    database: DatabaseSection
    node: NodeSection
    queue: QueueSection
    http: HttpSection
    accounts: AccountSection
    instances: InstanceSection
    connections: ConnectionSection
    links: LinkSection
    webhooks: WebhookSection
    kafka: KafkaSection
    urls: UrlSection
    media: MediaSection
    observability: ObservabilitySection

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        secrets = self.storage.secrets()
        if self.is_development:
            if not self.listener.allow_remote and not _is_loopback(self.listener.host):
                raise ValueError(
                    f"GATEWAY_HOST={self.listener.host} can be reached by others, and development "
                    "has a demo account: set GATEWAY_ENV=production, or GATEWAY_ALLOW_REMOTE=true"
                )
        elif not secrets or any(len(secret) < _MIN_SECRET_LENGTH for secret in secrets):
            raise ValueError(
                "production needs GATEWAY_SECRET_KEY with at least 32 characters, for example "
                "from `openssl rand -hex 32`"
            )
        # An earlier secret only opens what it sealed: a weak one is cured by a new one before it.
        elif len(set(secrets[0])) < _MIN_DISTINCT_CHARACTERS:
            raise ValueError(
                f"GATEWAY_SECRET_KEY has fewer than {_MIN_DISTINCT_CHARACTERS} different "
                "characters, so it can be guessed: put a new one before it, as new,old (for "
                "example from `openssl rand -hex 32`)"
            )
        return self

    @property
    def is_development(self) -> bool:
        return self.process.env == "development"

    def account_limits(self) -> AccountLimits:
        """Returns what one account may use."""
        return self.accounts.limits(is_development=self.is_development)

    def address_policy(self) -> AddressPolicy:
        """Returns which URLs webhooks and media may visit."""
        allow_http = self.urls.allow_http
        return AddressPolicy(
            allow_http=self.is_development if allow_http is None else allow_http,
            allowed=(*self.urls.allowed_networks, *(_LOOPBACK if self.is_development else ())),
        )

    def proxy_policy(self) -> AddressPolicy:
        """Returns which addresses the proxies of instances may have."""
        return AddressPolicy(
            allowed=(*self.urls.proxy_networks, *(_LOOPBACK if self.is_development else ()))
        )

    @classmethod
    def sections(cls) -> Iterator[tuple[str, type[SettingsSection]]]:
        """Yields the name and the class of each section."""
        for name, field in cls.model_fields.items():
            section = field.annotation
            assert isinstance(section, type)
            assert issubclass(section, SettingsSection)
            yield name, section

    @classmethod
    def defaults(cls) -> dict[str, object]:
        """Returns every environment variable with its default."""
        return {
            variable: section.model_fields[field].default
            for _name, section in cls.sections()
            for field, variable in section.variables()
        }

    @classmethod
    def read(cls, environment: Mapping[str, str], *, foreign_prefixes: Sequence[str] = ()) -> Self:
        """Returns the settings of this process.

        Args:
            environment: usually `os.environ`.
            foreign_prefixes: of variables that others read, such as those of providers.

        Raises:
            InvalidSettings: a name is unknown or a value is invalid; says which.
        """
        foreign = tuple(foreign_prefixes)
        own = {n: v for n, v in environment.items() if not n.startswith(foreign)}
        sections = {
            name: [variable for _field, variable in section.variables()]
            for name, section in cls.sections()
        }
        return read_sections(cls, own, sections, prefix=PREFIX)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
