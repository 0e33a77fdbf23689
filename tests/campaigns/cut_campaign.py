"""Cuts one statement after the other, and checks that two lines go on after each cut."""

import asyncio
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from typer import echo

from tests.campaigns.cut_figures import Figures, Target
from tests.campaigns.cut_plan import BY_ITSELF, CutPlan
from tests.campaigns.engine_scenes import copies_of
from tests.campaigns.running_time import RunningTime
from tests.campaigns.scenes import SCENES
from tests.campaigns.statements import FOLLOWS, sent_forms
from tests.campaigns.tour import InsistentClient, Tour, traces_of
from tests.fixtures.postgres_proxy import BadConnection, Cut

_LATE_SECONDS: Final = 2.0
_CANARIES: Final = 3


@dataclass(frozen=True)
class _Played:
    """How a scene went; `early` says why it ended early, if it did."""

    seconds: float
    early: str


@dataclass(frozen=True)
class _Loss:
    """In which scene a connection was lost, when that began, and when the loss was complete."""

    scene: str
    began: float
    at: float

    def seconds_until(self, ended: float, scene_seconds: float) -> float:
        """Returns the delay of lines that would have gone on after the scene, were there no cut."""
        return max(0.0, ended - max(self.at, self.began + scene_seconds))


@dataclass
class Campaign:
    """Cuts targets one after the other and checks what follows."""

    tour: Tour
    connection: BadConnection
    limit_seconds: float
    plan: CutPlan
    time: RunningTime
    equipped: bool = True
    """Whether this gateway plays the scenes of the engines and of Kafka."""
    verbose: bool = False
    figures: Figures = field(default_factory=Figures)

    async def explore(self) -> None:
        """Plays scenes of the plan, each once, and notes the statements that they run."""
        names = sent_forms()
        for scene, alone in self.plan.scenes_of(equipped=self.equipped):
            self.connection.seen.clear()
            played = await self._play(scene)
            if played.early:
                self.figures.errors.append(f"without a cut: {played.early}")
            await self._deliveries_recorded()
            seen = [names[text] for text in tuple(self.connection.seen) if text in names]
            self.plan.note(scene, seen, played.seconds, alone=alone)
            if self.verbose:
                echo(f"{played.seconds:5.1f} s  {scene}")
        self.connection.seen.clear()

    async def _deliveries_recorded(self) -> None:
        """Waits for the statement that follows the last callback of a scene."""
        with suppress(TimeoutError):
            await self.tour.until(
                lambda: self.tour.rows("select 1 from delivery_queues where claim_id is not null"),
                lambda claimed: not claimed,
                seconds=self.limit_seconds,
            )

    async def cut_all(self, cuts: Collection[Cut]) -> None:
        """Cuts targets of the plan until none is left, or Ctrl-C cancels this task."""
        try:
            for target in self.plan.targets(equipped=self.equipped):
                for cut in cuts:
                    await self.cut(target, cut)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.uncancel():
                raise
            self.connection.spare()

    async def cut(self, target: Target, cut: Cut) -> None:
        """Loses the connection at a target; counts how long the lines need to go on."""
        early = list[str]()
        loss = await self._lose(target, cut, early)
        self.connection.spare()
        what = f"{target} {cut.name}"
        if loss is None:
            self._note(self.figures.not_cut, " ".join([what, *early]))
            await self._restore()
            return
        self.figures.targets.add(target)
        self.figures.cuts += 1
        try:
            await self._restore()
            await self._go_on(what)
        except TimeoutError:
            seconds = self.time.now() - loss.at
            self._note(self.figures.standing, f"{seconds:.1f} s and longer after {what}")
            return
        ended = self.time.now()
        before = self._seconds_of(loss.scene)
        seconds = loss.seconds_until(ended, before)
        if seconds > self.limit_seconds:  # the machine may be busier than it was
            again = (await self._play(loss.scene)).seconds
            seconds = loss.seconds_until(ended, max(before, again))
            if seconds > self.limit_seconds:
                self._note(
                    self.figures.standing,
                    f"{seconds:.1f} s after {what}; {loss.scene} without a cut: {again:.1f} s now, "
                    f"{before:.1f} s before",
                )
        self.figures.slowest_seconds = max(self.figures.slowest_seconds, seconds)
        if self.verbose:
            echo(f"{seconds:5.1f} s  {cut.name:9} {target}")

    def _note(self, broken: list[str], what: str) -> None:
        broken.append(what)
        if self.verbose:
            echo(f"BROKEN {what}")

    async def _lose(self, target: Target, cut: Cut, early: list[str]) -> _Loss | None:
        """Plays scenes until the connection is lost; delivers what was to be late.

        Adds to *early* why scenes ended early. Returns None without a cut.
        """
        texts = {name: text for text, name in sent_forms().items()}
        first = FOLLOWS.get(target.name)
        if first:
            self.connection.lose_both(texts[first], texts[target.name], cut)
        else:
            self.connection.lose(texts[target.name], cut, at_commit=target.at_commit)
        for scene in self.plan.scenes_to_try(first or target.name, equipped=self.equipped):
            began = self.time.now()
            playing = asyncio.create_task(self._play(scene))
            losing = asyncio.create_task(self.connection.lost.wait())
            await asyncio.wait({playing, losing}, return_when=asyncio.FIRST_COMPLETED)
            losing.cancel()
            if self.connection.lost.is_set():
                lost_at = self.time.now()
                if cut is Cut.MEANWHILE:  # late, but before the server would give up the client
                    await asyncio.wait({playing}, timeout=_LATE_SECONDS)
                    self.connection.deliver.set()
                    lost_at = self.time.now()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LATE_SECONDS):
                            await self.connection.answered.wait()
                if scene == BY_ITSELF:  # nothing but a pause is left of it
                    playing.cancel()
                await asyncio.wait({playing})
                return _Loss(scene, began, lost_at)
            early += filter(None, [(await playing).early])
        return None

    def _seconds_of(self, scene: str) -> float:
        return 0.0 if scene == BY_ITSELF else self.plan.seconds_of(scene, equipped=self.equipped)

    async def _play(self, name: str) -> _Played:
        """Plays a scene; a caller that repeats what succeeded may be refused, and it ends there."""
        for line in (self.tour.line, self.tour.neighbor):
            line.scene = name
        began, early = self.time.now(), ""
        try:
            await SCENES[name](self.tour)
        except (AssertionError, LookupError, TypeError, json.JSONDecodeError) as error:
            early = f"({name} ended early: {error!r:.200})"
        except Exception as error:  # noqa: BLE001 - the campaign goes on and shows it
            early = f"({name} ended early: {error!r:.200})"
            self.figures.errors.append(early)
        return _Played(self.time.now() - began, early)

    async def _restore(self) -> None:
        """Orders again what a late statement of a caller may have undone."""
        line, webhook = self.tour.line, {"value": self.tour.catcher.url}
        await asyncio.gather(
            self._stop_faults(),
            line.call("POST", "/queue/resume"),
            line.call("PUT", "/queue/settings", json={"dailyLimit": 0}),
            line.call("PUT", "/update-every-webhooks", json=webhook),
        )

    async def _stop_faults(self) -> None:
        with suppress(AssertionError):
            await self.tour.line.control("faults", next=[])

    async def _go_on(self, what: str) -> None:
        """Sends canaries on both lines; returns once all arrived and were reported."""
        sent = await asyncio.gather(
            *(self._send_canaries(line, what) for line in (self.tour.line, self.tour.neighbor))
        )
        flat = [message_id for line_ids in sent for message_id in line_ids]
        await self.tour.arrived(*flat)
        await self.tour.posted("DeliveryCallback", *flat)
        for line_ids in sent:
            found = await self.tour.rows(
                "select message_id from sandbox.sent where message_id = any(%s) order by number",
                line_ids,
            )
            if [message_id for (message_id,) in found] != line_ids:
                self.figures.out_of_order.append(" ".join(line_ids))

    async def _send_canaries(self, line: InsistentClient, what: str) -> list[str]:
        line.scene = f"canary after {what}"
        texts = [await line.send_text(self.tour.text("canary")) for _ in range(_CANARIES)]
        return [text["messageId"] for text in texts]

    async def count(self) -> None:
        """Compares what was accepted with what arrived and was reported."""
        figures, tour = self.figures, self.tour
        lines = (tour.line, tour.neighbor)
        accepted = {id_: sent for line in lines for id_, sent in line.accepted.items()}
        figures.accepted = len(accepted)
        figures.errors += [error for line in lines for error in line.errors]
        with suppress(TimeoutError):
            await tour.arrived(*accepted, seconds=self.limit_seconds)
        journal = dict(await tour.rows("select message_id, seen from sandbox.sent"))
        for message_id in accepted.keys() - journal.keys():
            traces = await traces_of(tour, message_id)
            figures.lost.append(f"{message_id}: {accepted[message_id]}; {traces}")
        unconfirmed = dict(
            await tour.rows(
                """select message_id, count(*) from message_attempts
                   where outcome = 'unconfirmed' group by 1"""
            )
        )
        for message_id, seen in journal.items():
            if seen > 1 + unconfirmed.get(message_id, 0):
                figures.untold.append(message_id)
            elif seen > 1:
                figures.repeated.append(message_id)
        self._count_engines()
        ids = [posted.id for posted in tour.catcher.delivered]
        figures.repeated_callbacks = len(ids) - len(set(ids))

    def _count_engines(self) -> None:
        """Compares what engines accepted with what those at the other side decrypted."""
        copies = copies_of(self.tour)
        for text in self.tour.engines.texts if self.tour.engines else ():
            if copies[text] > 1:
                self.figures.untold.append(text)
            elif not copies[text]:
                self.figures.lost.append(text)
