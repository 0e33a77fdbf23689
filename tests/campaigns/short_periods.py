"""Runs the gateway with maintenance every second: `python -m tests.campaigns.short_periods serve`.

Only the periods of deletions and other maintenance are short. What brings a queue back after a lost
answer keeps the period that it has in production.
"""

from typing import Any, Final

from gateway.administration import removal
from gateway.cli import main
from gateway.instances import api_key_uses
from gateway.media import maintenance
from gateway.observability import traffic
from gateway.providers.baileys import engine as baileys_engine
from gateway.providers.sandbox import engine
from gateway.providers.whatsmeow import engine as whatsmeow_engine
from gateway.runtime import gauges, housekeeping
from gateway.sessions import health_monitor, receipt_watch
from gateway.sessions.inbound import intake
from gateway.webhooks import delivery, event_consumer, stream

PERIODS: Final[tuple[tuple[Any, str], ...]] = (
    (api_key_uses, "_FLUSH_SECONDS"),
    (baileys_engine, "_DAY_SECONDS"),
    (delivery, "_DELETE_EMPTY_EVERY_SECONDS"),
    (engine, "_DELETE_EXPIRED_EVERY_SECONDS"),
    (event_consumer, "_RENEW_SECONDS"),
    (gauges, "_READ_EVERY_SECONDS"),
    (health_monitor, "_COUNT_SECONDS"),
    (health_monitor, "_WRITE_SECONDS"),
    (housekeeping, "_EXPIRE_EVERY_SECONDS"),
    (housekeeping, "_DELETE_CALLBACKS_EVERY_SECONDS"),
    (housekeeping, "_DELETE_MESSAGES_EVERY_SECONDS"),
    (housekeeping, "_RECEIPTS_EVERY_SECONDS"),
    (housekeeping, "_RESEAL_EVERY_SECONDS"),
    (housekeeping, "_SAMPLE_EVERY_SECONDS"),
    (housekeeping, "_SEAL_EVERY_SECONDS"),
    (housekeeping, "_SEARCH_EVERY_SECONDS"),
    (intake, "_DELETE_INTERVAL_SECONDS"),
    (maintenance, "_PAUSE_SECONDS"),
    (receipt_watch, "_RECEIPT_SECONDS"),
    (removal, "_PAUSE_SECONDS"),
    (stream, "_RENEW_SECONDS"),
    (traffic, "PERIOD_SECONDS"),
    (whatsmeow_engine, "_DAY_SECONDS"),
)


def shorten() -> None:
    for module, name in PERIODS:
        assert isinstance(getattr(module, name), float), name
        setattr(module, name, 1.0)


if __name__ == "__main__":
    shorten()
    main()
