"""Three lanes of a line, served 4:2:1 and without bursts."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime

from gateway.contract.send import Priority
from gateway.send_queue.claim import ClaimCursor, ClaimedMessage

HIGH, NORMAL, BULK = Priority


def claimed(lane: Priority, position: int = 1, *, reordered: int = 0) -> ClaimedMessage:
    return ClaimedMessage(
        instance_id="I",
        id=1,
        zaap_id="Z",
        message_id="M",
        type="send-text",
        version=1,
        phone="5511999999999",
        payload={},
        priority=int(lane),
        position=position,
        attempts=0,
        max_attempts=3,
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
        claimed_epoch=1,
        claim_id=None,
        reordered=reordered,
    )


def serve(line: ClaimCursor, times: int, lanes_with_work: Collection[Priority]) -> list[Priority]:
    """What leaves, as the claim does it: the first lane in order that has work."""
    left = []
    for _ in range(times):
        lane = next(lane for lane in line.lanes() if lane in lanes_with_work)
        line.advance(claimed(lane))
        left.append(lane)
    return left


def test_a_new_line_tries_its_lanes_by_priority() -> None:
    assert ClaimCursor("I", 1).lanes() == [HIGH, NORMAL, BULK]


def test_busy_lanes_are_served_4_to_2_to_1() -> None:
    left = serve(ClaimCursor("I", 1), 700, list(Priority))

    assert Counter(left) == {HIGH: 400, NORMAL: 200, BULK: 100}


def test_every_seven_in_a_row_hold_one_of_the_lowest_lane() -> None:
    left = serve(ClaimCursor("I", 1), 70, list(Priority))

    for start in range(63):
        assert 3 <= left[start : start + 7].count(HIGH) <= 5
        assert left[start : start + 8].count(BULK) >= 1


def test_two_busy_lanes_share_by_their_weights() -> None:
    assert Counter(serve(ClaimCursor("I", 1), 60, [NORMAL, BULK])) == {NORMAL: 40, BULK: 20}
    assert Counter(serve(ClaimCursor("I", 1), 50, [HIGH, BULK])) == {HIGH: 40, BULK: 10}


def test_a_lane_alone_gets_everything() -> None:
    assert set(serve(ClaimCursor("I", 1), 20, [BULK])) == {BULK}


def test_a_lane_that_was_empty_saves_nothing_up_for_a_burst() -> None:
    line = ClaimCursor("I", 1)
    serve(line, 1_000, [HIGH])

    left = serve(line, 14, list(Priority))

    assert left.count(BULK) <= 3
    assert left.count(HIGH) >= 7


def test_a_lane_that_worked_alone_owes_nothing_afterwards() -> None:
    line = ClaimCursor("I", 1)
    serve(line, 1_000, [BULK])

    left = serve(line, 14, list(Priority))

    assert left[0] is HIGH
    assert left.count(BULK) >= 1
    assert left.count(HIGH) >= 7


def test_the_place_reached_in_each_lane_is_remembered() -> None:
    line = ClaimCursor("I", 1)

    line.advance(claimed(HIGH, 7))
    line.advance(claimed(BULK, 3))
    line.advance(claimed(HIGH, 9))

    assert line.claimed_up_to == {
        HIGH: 9,
        NORMAL: ClaimCursor("I", 1).claimed_up_to[NORMAL],
        BULK: 3,
    }


def test_a_reordered_line_is_read_from_its_beginning_again() -> None:
    line = ClaimCursor("I", 1)
    line.advance(claimed(HIGH, 7))
    line.advance(claimed(BULK, 3))

    line.advance(claimed(HIGH, 2, reordered=1))

    assert line.reordered == 1
    assert line.claimed_up_to == ClaimCursor("I", 1).claimed_up_to | {HIGH: 2}
