"""Cuts one statement after the other, and checks that two lines go on after each cut."""

import asyncio
import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from typer import echo

from tests.campaigns.cut_figures import Figures, Target
from tests.campaigns.engine_scenes import copies_of
from tests.campaigns.scenes import SCENES
from tests.campaigns.statements import COMMITTED, FOLLOWS, sent_forms
from tests.campaigns.tour import Tour, traces_of
from tests.fixtures.postgres_proxy import BadConnection, Cut

_LATE_SECONDS: Final = 2.0
_CANARIES: Final = 3
_MAX_SCENES: Final = 12
_BY_ITSELF: Final = "rest"
_AT_START: Final = "restart"


@dataclass(frozen=True)
class _Played:
    """How a scene went; `early` says why it ended early, if it did."""

    scene: str
    seconds: float
    early: str


@dataclass
class Campaign:
    """Cuts targets one after the other and checks what follows."""

    tour: Tour
    connection: BadConnection
    limit_seconds: float
    verbose: bool = False
    figures: Figures = field(default_factory=Figures)
    scenes: dict[str, list[str]] = field(default_factory=dict)
    """The scenes that run each statement."""
    seconds_of: dict[str, float] = field(default_factory=dict)
    """How long each scene takes without a cut."""

    async def explore(self, scenes: Collection[str]) -> None:
        """Plays each scene once and notes the statements that it runs."""
        names = sent_forms()
        for scene in scenes:
            self.connection.seen.clear()
            played = await self._play(scene)
            if played.early:
                self.figures.errors.append(f"without a cut: {played.early}")
            self.seconds_of[scene] = played.seconds
            for text in tuple(self.connection.seen):
                if text in names:
                    self.scenes.setdefault(names[text], []).append(scene)
        self.connection.seen.clear()

    def targets(self, chosen: Collection[str]) -> Iterator[Target]:
        """Yields the explored statements, or those of *chosen*, each with what is cut for it."""
        followers = {name for name, first in FOLLOWS.items() if first in self.scenes}
        for name in sorted(self.scenes.keys() | followers):
            if not chosen or name in chosen:
                yield Target(name)
                if name in COMMITTED:
                    yield Target(name, at_commit=True)

    async def cut(self, target: Target, cut: Cut) -> None:
        played = list[_Played]()
        lost_at = await self._lose(target, cut, played)
        self.connection.spare()
        what, scene = f"{target} {cut.name}", played[-1].scene
        if lost_at is None:
            early = [each.early for each in played if each.early]
            self.figures.not_cut.append(" ".join([what, *early]))
            await self._restore()
            return
        self.figures.targets.add(target)
        self.figures.cuts += 1
        try:
            await self._restore()
            await self._go_on(what)
        except TimeoutError:
            self.figures.standing.append(f"{_now() - lost_at:.1f} s and longer after {what}")
            return
        seconds = max(0.0, _now() - lost_at)
        self.figures.slowest_seconds = max(self.figures.slowest_seconds, seconds)
        if seconds > self.limit_seconds:
            again = (await self._play(scene)).seconds
            self.figures.standing.append(
                f"{seconds:.1f} s after {what}; {scene} without a cut: {again:.1f} s now, "
                f"{self.seconds_of[scene]:.1f} s before"
            )
        if self.verbose:
            echo(f"{seconds:5.1f} s  {cut.name:9} {target}")

    async def _lose(self, target: Target, cut: Cut, played: list[_Played]) -> float | None:
        """Plays scenes until the connection is lost; delivers what was to be late.

        Adds them to *played*. Returns when the lines should have gone on, were the cut no delay,
        and not before a late statement was delivered; None without a cut.
        """
        texts = {name: text for text, name in sent_forms().items()}
        first = FOLLOWS.get(target.name)
        if first:
            self.connection.lose_both(texts[first], texts[target.name], cut)
        else:
            self.connection.lose(texts[target.name], cut, at_commit=target.at_commit)
        for scene in self.scenes_to_try(first or target.name):
            began = _now()
            playing = asyncio.create_task(self._play(scene))
            losing = asyncio.create_task(self.connection.lost.wait())
            await asyncio.wait({playing, losing}, return_when=asyncio.FIRST_COMPLETED)
            losing.cancel()
            if self.connection.lost.is_set():
                lost_at = max(_now(), began + self.seconds_of[scene])
                if cut is Cut.MEANWHILE:  # late, but before the server would give up the client
                    await asyncio.wait({playing}, timeout=_LATE_SECONDS)
                    self.connection.deliver.set()
                    lost_at = max(lost_at, _now())
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LATE_SECONDS):
                            await self.connection.answered.wait()
                played.append(await playing)
                return lost_at
            played.append(await playing)
        return None

    def scenes_to_try(self, statement: str) -> list[str]:
        """Returns the scenes to play, one after the other, until they run a statement.

        What the gateway does by itself runs in any scene that lasts long enough, and what runs at
        its start may have run in a later scene. Other statements belong to the quickest scene;
        what a route runs may be left over from the scene before.
        """
        scenes = self.scenes[statement]
        quick = sorted(scenes, key=lambda each: (" " in each, self.seconds_of[each]))[:_MAX_SCENES]
        by_itself, at_start = (
            [scene for scene in scenes if scene == each] for each in (_BY_ITSELF, _AT_START)
        )
        return [*by_itself, *quick, *at_start, *quick[:2]]

    async def _play(self, name: str) -> _Played:
        """Plays a scene; a caller that repeats what succeeded may be refused, and it ends there."""
        for line in (self.tour.line, self.tour.neighbor):
            line.scene = name
        began, early = _now(), ""
        try:
            await SCENES[name](self.tour)
        except (AssertionError, LookupError, TypeError, json.JSONDecodeError) as error:
            early = f"({name} ended early: {error!r:.200})"
        except Exception as error:  # noqa: BLE001 - the campaign goes on and shows it
            early = f"({name} ended early: {error!r:.200})"
            self.figures.errors.append(early)
        return _Played(name, _now() - began, early)

    async def _restore(self) -> None:
        """Orders again what a late statement of a caller may have undone."""
        with suppress(AssertionError):
            await self.tour.line.control("faults", next=[])
        await self.tour.line.call("POST", "/queue/resume")
        await self.tour.line.call("PUT", "/queue/settings", json={"dailyLimit": 0})
        webhook = {"value": self.tour.catcher.url}
        await self.tour.line.call("PUT", "/update-every-webhooks", json=webhook)

    async def _go_on(self, what: str) -> None:
        """Sends canaries on both lines; returns once all arrived and were reported."""
        sent: list[list[str]] = []
        for line in (self.tour.line, self.tour.neighbor):
            line.scene = f"canary after {what}"
            texts = [await line.send_text(self.tour.text("canary")) for _ in range(_CANARIES)]
            sent.append([text["messageId"] for text in texts])
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


def _now() -> float:
    return asyncio.get_running_loop().time()
