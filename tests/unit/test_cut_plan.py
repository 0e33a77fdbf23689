"""The plan by which gateways of a campaign of cuts share scenes and statements."""

from tests.campaigns.cut_figures import Target
from tests.campaigns.cut_plan import CutPlan

SCENES = ("exchange", "write_by_engines", "rest", "restart")


def test_each_scene_is_explored_once_by_a_gateway_that_can_play_it() -> None:
    plan = CutPlan(SCENES, plain_gateways=1)

    equipped = list(plan.scenes_of(equipped=True))  # first, and takes none of the others
    plain = list(plan.scenes_of(equipped=False))

    assert plain == [("exchange", False), ("rest", False), ("restart", False)]
    assert equipped == [("write_by_engines", True), ("rest", True), ("restart", True)]


def test_gateway_without_others_plays_every_scene_once() -> None:
    plan = CutPlan(SCENES, plain_gateways=0)

    played = [scene for scene, _ in plan.scenes_of(equipped=True)]

    assert sorted(played) == sorted(SCENES)


def test_statement_that_plain_gateways_run_is_cut_once_and_by_any() -> None:
    plan = CutPlan(SCENES, plain_gateways=1)
    plan.note("exchange", ["send_queue/claim"], 1.0, alone=False)
    plan.note("write_by_engines", ["send_queue/claim", "baileys/commit"], 1.0, alone=True)
    plan.choose(())

    assert list(plan.targets(equipped=False)) == [Target("send_queue/claim")]
    assert list(plan.targets(equipped=True)) == [Target("baileys/commit")]
    assert plan.scenes_to_try("send_queue/claim", equipped=False)[0] == "exchange"
    assert "write_by_engines" in plan.scenes_to_try("send_queue/claim", equipped=True)


def test_what_runs_by_itself_is_cut_there_and_the_rest_in_the_quickest_scene() -> None:
    plan = CutPlan((), plain_gateways=0)
    for scene, seconds in {"GET /me": 0.1, "quick": 1.0, "slow": 2.0, "rest": 3.0}.items():
        ran = ["by itself"] if scene in {"GET /me", "rest"} else []
        plan.note(scene, [*ran, *(["asked for"] if scene != "rest" else [])], seconds, alone=False)

    assert plan.scenes_to_try("by itself", equipped=True)[0] == "rest"
    assert plan.scenes_to_try("asked for", equipped=True)[:3] == ["quick", "slow", "GET /me"]
