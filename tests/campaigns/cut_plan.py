"""What the gateways of a campaign share: which of them plays which scene and cuts which statement.

One gateway is *equipped*: it has what the scenes of the engines and of Kafka need. The others are
plain, and start again in less time. Each takes the next scene, and later the next target, as soon
as it is done with the last one.
"""

from collections import deque
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Final

from tests.campaigns.cut_figures import Target
from tests.campaigns.message_scenes import send_by_kafka
from tests.campaigns.scenes import ENGINE_SCENES, rest, restart
from tests.campaigns.statements import COMMITTED, FOLLOWS

EQUIPPED_SCENES: Final = ENGINE_SCENES | {send_by_kafka.__name__}
"""The scenes that a plain gateway cannot play."""
BY_ITSELF: Final = rest.__name__
AT_START: Final = restart.__name__
_MAX_SCENES: Final = 12


class CutPlan:
    """Hands out the scenes and the targets, and keeps what the exploration found."""

    def __init__(self, scenes: Collection[str], *, plain_gateways: int) -> None:
        """Divides the scenes; both kinds of gateway play what a gateway does by itself.

        The equipped one explores no others where a plain one can: its engines and Kafka run their
        own statements beside any scene, and those would count as what a plain gateway reaches.
        """
        both = {BY_ITSELF, AT_START} if plain_gateways else set()
        self._explores_all = not plain_gateways
        # Each by whether it is for the equipped gateway alone.
        self._scenes = {
            True: deque(each for each in scenes if each in EQUIPPED_SCENES | both),
            False: deque(each for each in scenes if each not in EQUIPPED_SCENES),
        }
        self._scenes_with = {True: dict[str, list[str]](), False: dict[str, list[str]]()}
        self._seconds_of = {True: dict[str, float](), False: dict[str, float]()}
        self._targets = {True: deque[Target](), False: deque[Target]()}

    @property
    def statements(self) -> set[str]:
        """The statements that the scenes run."""
        return {name for scenes in self._scenes_with.values() for name in scenes}

    def scenes_of(self, *, equipped: bool) -> Iterator[tuple[str, bool]]:
        """Yields the next scene to explore, and whether it is for the equipped gateway alone."""
        kinds = (True, False) if self._explores_all else (equipped,)
        for alone in kinds:
            while self._scenes[alone]:
                yield self._scenes[alone].popleft(), alone

    def note(self, scene: str, statements: Collection[str], seconds: float, *, alone: bool) -> None:
        """Keeps which statements a scene ran, and how long it took."""
        self._seconds_of[alone][scene] = seconds
        for name in statements:
            self._scenes_with[alone].setdefault(name, []).append(scene)

    def seconds_of(self, scene: str, *, equipped: bool) -> float:
        """Returns how long a scene takes without a cut."""
        own = self._seconds_of[equipped]
        return own[scene] if scene in own else self._seconds_of[not equipped][scene]

    def choose(self, chosen: Collection[str]) -> None:
        """Makes targets of the explored statements, or of the *chosen* ones among them."""
        explored = self.statements
        names = explored | {name for name, first in FOLLOWS.items() if first in explored}
        plain = self._scenes_with[False]
        for name in sorted(names):
            if not chosen or name in chosen:
                queue = self._targets[FOLLOWS.get(name, name) not in plain]
                queue.append(Target(name))
                if name in COMMITTED:
                    queue.append(Target(name, at_commit=True))

    def targets(self, *, equipped: bool) -> Iterator[Target]:
        """Yields the next target that a gateway can reach, those first that only it can."""
        for alone in (True, False) if equipped else (False,):
            while self._targets[alone]:
                yield self._targets[alone].popleft()

    def scenes_to_try(self, statement: str, *, equipped: bool) -> list[str]:
        """Returns the scenes to play, one after the other, until they run a statement.

        What the gateway does by itself runs in any scene that lasts long enough, and what runs at
        its start may have run in a later scene: it starts again at last. Other statements belong to
        the quickest scene; what a route runs may be left over from the scene before.
        """
        kinds = (False, True) if equipped else (False,)
        found = (self._scenes_with[alone].get(statement, ()) for alone in kinds)
        scenes = list(dict.fromkeys(chain.from_iterable(found)))
        quick = sorted(
            scenes, key=lambda each: (" " in each, self.seconds_of(each, equipped=equipped))
        )[:_MAX_SCENES]
        by_itself, at_start = (
            [scene for scene in scenes if scene == each] for each in (BY_ITSELF, AT_START)
        )
        last = [*at_start, *quick[:2]] if at_start else self._after_start(quick)
        return [*by_itself, *quick, *last]

    def _after_start(self, quick: list[str]) -> list[str]:
        """Returns scenes for what may run once after a start, while another scene was played."""
        explored = self._seconds_of[True].keys() | self._seconds_of[False].keys()
        return [each for each in (AT_START, *quick[:2], *[BY_ITSELF] * 3) if each in explored]
