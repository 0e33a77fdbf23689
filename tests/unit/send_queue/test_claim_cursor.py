"""A claim cursor serves three lanes 4:2:1, without bursts."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime

from gateway.contract.send import Priority
from gateway.send_queue.claim_cursor import ClaimCursor, ClaimedMessage

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
        is_expired=False,
        reordered=reordered,
    )


def serve(cursor: ClaimCursor, times: int, lanes_with_work: Collection[Priority]) -> list[Priority]:
    """Returns the lanes of successive claims: each takes the first lane that has work."""
    served = []
    for _ in range(times):
        lane = next(lane for lane in cursor.lanes() if lane in lanes_with_work)
        cursor.advance(claimed(lane))
        served.append(lane)
    return served


def test_new_cursor_reads_lanes_by_priority() -> None:
    assert ClaimCursor("I", 1).lanes() == [HIGH, NORMAL, BULK]


def test_busy_lanes_are_served_4_to_2_to_1() -> None:
    served = serve(ClaimCursor("I", 1), 700, list(Priority))

    assert Counter(served) == {HIGH: 400, NORMAL: 200, BULK: 100}


def test_any_eight_messages_include_the_lowest_lane() -> None:
    served = serve(ClaimCursor("I", 1), 70, list(Priority))

    for start in range(63):
        assert 3 <= served[start : start + 7].count(HIGH) <= 5
        assert served[start : start + 8].count(BULK) >= 1


def test_two_busy_lanes_share_by_their_weights() -> None:
    assert Counter(serve(ClaimCursor("I", 1), 60, [NORMAL, BULK])) == {NORMAL: 40, BULK: 20}
    assert Counter(serve(ClaimCursor("I", 1), 50, [HIGH, BULK])) == {HIGH: 40, BULK: 10}


def test_single_busy_lane_gets_every_turn() -> None:
    assert set(serve(ClaimCursor("I", 1), 20, [BULK])) == {BULK}


def test_empty_lane_saves_no_turns_for_a_burst() -> None:
    cursor = ClaimCursor("I", 1)
    serve(cursor, 1_000, [HIGH])

    served = serve(cursor, 14, list(Priority))

    assert served.count(BULK) <= 3
    assert served.count(HIGH) >= 7


def test_lane_that_sent_alone_owes_no_turns_afterwards() -> None:
    cursor = ClaimCursor("I", 1)
    serve(cursor, 1_000, [BULK])

    served = serve(cursor, 14, list(Priority))

    assert served[0] is HIGH
    assert served.count(BULK) >= 1
    assert served.count(HIGH) >= 7


def test_cursor_notes_the_position_reached_in_each_lane() -> None:
    cursor = ClaimCursor("I", 1)

    cursor.advance(claimed(HIGH, 7))
    cursor.advance(claimed(BULK, 3))
    cursor.advance(claimed(HIGH, 9))

    assert cursor.claimed_up_to == {
        HIGH: 9,
        NORMAL: ClaimCursor("I", 1).claimed_up_to[NORMAL],
        BULK: 3,
    }


def test_reordered_queue_is_read_from_the_front_again() -> None:
    cursor = ClaimCursor("I", 1)
    cursor.advance(claimed(HIGH, 7))
    cursor.advance(claimed(BULK, 3))

    cursor.advance(claimed(HIGH, 2, reordered=1))

    assert cursor.reordered == 1
    assert cursor.claimed_up_to == ClaimCursor("I", 1).claimed_up_to | {HIGH: 2}
