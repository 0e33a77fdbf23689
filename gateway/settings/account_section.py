"""The settings of what one account may use."""

from dataclasses import dataclass

from pydantic import Field

from gateway.settings.section import SettingsSection

_IN_DEVELOPMENT = "no limit in development"


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What one account may use; 0 sets no limit.

    Requests, tests, uploads and followers of `/events` are counted on each node; `burst` is how
    many requests or tests may come at once.
    """

    requests_per_second: float
    requests_burst: int
    instance_requests_per_second: float
    instance_requests_burst: int
    max_instances: int
    max_stored_bytes: int
    max_followers: int
    max_uploads: int
    tests_per_minute: float
    tests_burst: int
    max_in_work: int
    max_in_work_beside_others: int
    max_steps_beside_others: int


class AccountSection(SettingsSection):
    """What one account may use, so that none takes the machine from the others."""

    title = "Limits of an account"

    requests_per_second: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_ACCOUNT_REQUESTS_PER_SECOND",
        description="Requests per second of an account that each node accepts; 0 sets no limit; "
        f"by default 200, {_IN_DEVELOPMENT}",
    )
    requests_burst: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_ACCOUNT_REQUESTS_BURST",
        description="Requests of an account that may come at once; 0 allows ten seconds' worth",
    )
    instance_requests_per_second: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_INSTANCE_REQUESTS_PER_SECOND",
        description="Requests per second of an instance that each node accepts; 0 sets no limit; "
        f"by default 50, {_IN_DEVELOPMENT}",
    )
    instance_requests_burst: int = Field(
        0,
        ge=0,
        validation_alias="GATEWAY_INSTANCE_REQUESTS_BURST",
        description="Requests of an instance that may come at once; 0 allows ten seconds' worth",
    )
    max_instances: int | None = Field(
        None,
        ge=0,
        validation_alias="GATEWAY_ACCOUNT_MAX_INSTANCES",
        description="Instances that an account may make over the API; an account that had more "
        "when the limit came may have twice as many as then; 0 sets no limit; by default 1000, "
        f"{_IN_DEVELOPMENT}",
    )
    max_stored_bytes: int | None = Field(
        None,
        ge=0,
        validation_alias="GATEWAY_ACCOUNT_MAX_STORED_BYTES",
        description="Bytes of files that an account may have stored when it sends another one; "
        "files that people send to it are always stored; an account that had more when the limit "
        "came may have twice as many as then; 0 sets no limit; by default 50 GiB, "
        f"{_IN_DEVELOPMENT}",
    )
    max_followers: int = Field(
        50,
        ge=1,
        validation_alias="GATEWAY_ACCOUNT_MAX_FOLLOWERS",
        description="Connections to `/events` and `/events/ws` that an account may have open on "
        "each node",
    )

    max_uploads: int = Field(
        200,
        ge=1,
        validation_alias="GATEWAY_ACCOUNT_MAX_UPLOADS",
        description="Number of request bodies of an account that may arrive at once on a node; "
        "further ones are answered 429",
    )
    max_in_work: int = Field(
        16,
        ge=0,
        validation_alias="GATEWAY_ACCOUNT_MAX_IN_WORK",
        description="Requests of an account that each node works on at once; those that wait for "
        "WhatsApp or another server do not count, and messages that wait to be committed may be as "
        "many again, or 64; further ones wait; 0 sets no limit",
    )
    max_in_work_beside_others: int = Field(
        2,
        ge=0,
        validation_alias="GATEWAY_ACCOUNT_MAX_IN_WORK_BESIDE_OTHERS",
        description="The same while another account has work or had some within a second; 0 sets "
        "no limit of its own",
    )
    max_steps_beside_others: int = Field(
        2,
        ge=0,
        validation_alias="GATEWAY_ACCOUNT_MAX_STEPS_BESIDE_OTHERS",
        description="Steps of sends, received events and delivered callbacks of an account "
        "together that each node stores at once while another account has some or had some within "
        "a second, and as many stored files that it copies; an account that is alone has no limit; "
        "0 sets no limit",
    )
    tests_per_minute: float = Field(
        6.0,
        ge=0,
        allow_inf_nan=False,
        validation_alias="GATEWAY_ACCOUNT_TESTS_PER_MINUTE",
        description="Tests of webhooks, and as many of proxies, that an account may run per minute "
        "on each node; five minutes' worth may come at once; 0 sets no limit",
    )

    def limits(self, *, is_development: bool) -> AccountLimits:
        """Returns the limits that apply, with the defaults of production or of development."""

        def chosen(given: float | None, default: int) -> float:
            return given if given is not None else 0 if is_development else default

        account = chosen(self.requests_per_second, _REQUESTS_PER_SECOND)
        instance = chosen(self.instance_requests_per_second, _INSTANCE_REQUESTS_PER_SECOND)
        return AccountLimits(
            requests_per_second=account,
            requests_burst=self.requests_burst or max(1, round(account * _BURST_SECONDS)),
            instance_requests_per_second=instance,
            instance_requests_burst=self.instance_requests_burst
            or max(1, round(instance * _BURST_SECONDS)),
            max_instances=int(chosen(self.max_instances, _MAX_INSTANCES)),
            max_stored_bytes=int(chosen(self.max_stored_bytes, _MAX_STORED_BYTES)),
            max_followers=self.max_followers,
            max_uploads=self.max_uploads,
            tests_per_minute=self.tests_per_minute,
            max_in_work=self.max_in_work,
            max_in_work_beside_others=_smaller(self.max_in_work, self.max_in_work_beside_others),
            max_steps_beside_others=self.max_steps_beside_others,
            tests_burst=max(1, round(self.tests_per_minute * _TESTS_BURST_MINUTES)),
        )


def _smaller(limit: int, other: int) -> int:
    """Returns the smaller limit; 0 is none."""
    return min(limit, other) if limit and other else limit or other


_REQUESTS_PER_SECOND, _INSTANCE_REQUESTS_PER_SECOND = 200, 50
_BURST_SECONDS = 10
_TESTS_BURST_MINUTES = 5
_MAX_INSTANCES = 1_000
_MAX_STORED_BYTES = 50 * 1024**3
