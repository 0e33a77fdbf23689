"""What an account uses of what it may."""

from dataclasses import dataclass

from gateway.contract.extensions.account import ReadUsage, Usage, UsedOf
from gateway.contract.handlers import Handlers
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.accounts import Account
from gateway.media.allowance import StorageAllowance
from gateway.settings.account_section import AccountLimits
from gateway.webhooks.stream import Stream

_COUNT_USED = query("instances", "count_used")


@dataclass(frozen=True, slots=True)
class UsageContext:
    """What the handler needs; `max_waiting` is the limit of each queue."""

    database: Database
    allowance: StorageAllowance
    stream: Stream
    limits: AccountLimits
    max_waiting: int
    account: Account


@dataclass(frozen=True, slots=True)
class _Used:
    instances: int
    allowed_instances: int
    waiting: int
    longest_queue: int


handlers = Handlers[UsageContext]()


@handlers.handles(ReadUsage)
async def read_usage(context: UsageContext, _operation: ReadUsage) -> Usage:
    limits, account_id = context.limits, context.account.id
    used = await context.database.fetch_one(_Used, _COUNT_USED, account_id=account_id)
    assert used is not None
    stored = await context.allowance.read(account_id)
    max_instances = limits.max_instances and max(limits.max_instances, used.allowed_instances)
    return Usage(
        requests_per_second=limits.requests_per_second,
        requests_burst=limits.requests_burst,
        instance_requests_per_second=limits.instance_requests_per_second,
        instance_requests_burst=limits.instance_requests_burst,
        uploads=limits.max_uploads,
        tests_per_minute=limits.tests_per_minute,
        instances=UsedOf(used=used.instances, limit=max_instances),
        stored_bytes=UsedOf(used=stored.used, limit=context.allowance.limit(stored)),
        followers=UsedOf(used=context.stream.followers_of(account_id), limit=limits.max_followers),
        waiting=used.waiting,
        longest_queue=UsedOf(used=used.longest_queue, limit=context.max_waiting),
    )
