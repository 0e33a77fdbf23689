"""One attempt to send a message: what precedes the call of the provider, and the call."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.contract.media import MediaFile
from gateway.contract.send import OutgoingMessage
from gateway.errors import (
    CallerError,
    DatabaseUnavailable,
    NotConnected,
    Refused,
    Restricted,
    TryAgainLater,
    Unconfirmed,
)
from gateway.history.store import History
from gateway.media.file_links import FileLinks, LinkTo, no_link
from gateway.media.preparing import Preparing
from gateway.observability.error_reports import report_error
from gateway.send_queue.addressing import Addressed
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.send_queue.outcome import HandedBack, Outcome, RetryPolicy, Sent, outcome_of
from gateway.send_queue.unknown_messages import UnknownMessages
from gateway.sessions.live import LiveSession
from gateway.sessions.provider import Attempt, Receipt


@dataclass(frozen=True, slots=True)
class UncalledAttempts:
    """The attempts of this process that may have started, and whose provider was not called.

    A worker adds an attempt before it asks Postgres to start it, and removes it before it calls the
    provider. What is left after the worker ended was never sent, so its attempt does not count.
    """

    _claim_ids: set[uuid.UUID] = field(default_factory=set)

    def add(self, row: ClaimedMessage) -> None:
        if row.claim_id:
            self._claim_ids.add(row.claim_id)

    def discard(self, row: ClaimedMessage) -> None:
        if row.claim_id:
            self._claim_ids.discard(row.claim_id)

    def __contains__(self, row: ClaimedMessage) -> bool:
        return row.claim_id in self._claim_ids


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes the attempts of one worker."""

    live: LiveSession
    history: History
    file_links: FileLinks
    policy: RetryPolicy
    uncalled: UncalledAttempts
    send_timeout_seconds: float
    unknown: UnknownMessages

    async def make(self, addressed: Addressed, row: ClaimedMessage, files: Preparing) -> Outcome:
        """Calls the provider once, after the attempt was committed as started."""
        try:
            message, attempt, link_to = await self._prepare(addressed, row, files)
            if not self.live.may_act():
                return HandedBack()
            self.uncalled.discard(row)
            receipt = await self._send(message, attempt)
        except (NotConnected, Restricted, TryAgainLater, Refused, Unconfirmed) as failure:
            return outcome_of(
                failure,
                attempts=row.attempts + 1,
                max_attempts=row.max_attempts,
                can_repeat_send=self.live.can_repeat_send,
                policy=self.policy,
                deferrals=row.deferrals,
            )
        except DatabaseUnavailable:
            return HandedBack()
        return Sent(receipt, attempt.referred, attempt.media, link_to)

    async def _prepare(
        self, addressed: Addressed, row: ClaimedMessage, files: Preparing
    ) -> tuple[OutgoingMessage, Attempt, LinkTo]:
        """Reads what the provider and the echo need.

        The message has not left, whatever goes wrong here.

        Raises:
            DatabaseUnavailable: nothing is wrong with the message; no attempt counts.
            SendFailure: the attempt failed, and is not unconfirmed.
        """
        try:
            addressed.require_recipient()
            # A missing file fails the attempt, so its error is raised only after the start.
            prepared = await files.result()
            known = await self.history.known(row.instance_id, addressed.message.referred_ids())
            message, referred = await self.unknown.complete(
                row.instance_id, addressed.message, known
            )
            link_to = await self._links(message, prepared.media)
        except (NotConnected, Restricted, TryAgainLater, Refused, DatabaseUnavailable):
            raise
        except CallerError as error:
            raise Refused(str(error)) from error
        except Exception as error:
            report_error(
                error, component="worker", instance_id=row.instance_id, message_type=row.type
            )
            raise TryAgainLater(f"unexpected {type(error).__name__}") from error
        attempt = Attempt(
            row.message_id,
            row.claimed_epoch,
            self.send_timeout_seconds,
            referred,
            prepared.media,
            prepared.preview,
            addressed.numbers,
        )
        return message, attempt, link_to

    async def _links(self, message: OutgoingMessage, media: Mapping[str, MediaFile]) -> LinkTo:
        """Read before the send: nothing may fail between the send and its record."""
        instance = self.live.instance
        if not instance.notify_sent_by_me:
            return no_link
        return await self.file_links.of_message(instance.id, message, media)

    async def _send(self, message: OutgoingMessage, attempt: Attempt) -> Receipt:
        """Calls the provider. What it does not explain may have happened after the message left.

        Raises:
            SendFailure: the attempt failed.
        """
        try:
            async with asyncio.timeout(attempt.time_limit_seconds):
                return await self.live.session.send(message, attempt)
        except (NotConnected, Restricted, TryAgainLater, Refused, Unconfirmed):
            raise
        except CallerError as error:
            raise Refused(str(error)) from error
        except TimeoutError:
            limit = f"{attempt.time_limit_seconds:g}"
            raise Unconfirmed(f"no answer within {limit} seconds") from None
        except DatabaseUnavailable as error:
            raise Unconfirmed("Postgres did not answer the provider") from error
        except Exception as error:
            report_error(
                error,
                component="worker",
                instance_id=self.live.instance.id,
                message_type=message.kind(),
            )
            raise Unconfirmed(f"unexpected {type(error).__name__}") from error
