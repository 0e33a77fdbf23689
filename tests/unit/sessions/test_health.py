"""The circuit breaker of a connection, and the pauses between repairs."""

from gateway.sessions.health import MAX_REFUSALS, EventCounter, EventLag, HealthCircuit, RepairPlan


def opened() -> HealthCircuit:
    circuit = HealthCircuit()
    circuit.note_good(0.0)
    for _ in range(3):
        circuit.note_bad()
    return circuit


def test_circuit_opens_after_three_bad_checks_in_a_row() -> None:
    circuit = HealthCircuit()
    seen = []
    for check in "gbbgbbb":
        if check == "g":
            circuit.note_good(0.0)
        else:
            circuit.note_bad()
        seen.append(circuit.status)

    assert seen == ["healthy"] * 6 + ["unhealthy"]
    assert circuit.error_rate == 5 / 7


def test_open_circuit_is_checked_once_a_minute() -> None:
    assert HealthCircuit().pause_seconds(30.0) == 30.0
    assert opened().pause_seconds(30.0) == 60.0
    assert opened().pause_seconds(90.0) == 90.0


def test_circuit_closes_after_ten_good_minutes() -> None:
    circuit = opened()
    seen = []
    for now in (1_000.0, 1_599.0, 1_600.0):
        circuit.note_good(now)
        seen.append(circuit.status)

    assert seen == ["recovering", "recovering", "healthy"]


def test_one_bad_check_opens_a_recovering_circuit_again() -> None:
    circuit, seen = opened(), []
    for now in (1_000.0, None, 2_000.0, 2_599.0):
        if now is None:
            circuit.note_bad()
        else:
            circuit.note_good(now)
        seen.append(circuit.status)

    assert seen == ["recovering", "unhealthy", "recovering", "recovering"]


def test_connection_that_is_not_checked_has_no_health() -> None:
    circuit = opened()
    circuit.reset()

    assert (circuit.status, circuit.error_rate) == ("unknown", None)


def repairs(plan: RepairPlan, *, refused: bool, hours: int) -> list[int]:
    """Checks each second; returns the seconds between repairs."""
    times = [
        second for second in range(hours * 3_600) if plan.note_bad(float(second), refused=refused)
    ]
    return [later - earlier for earlier, later in zip([0, *times], times, strict=False)]


def test_pauses_without_network_grow_to_five_minutes_and_never_end() -> None:
    pauses = repairs(RepairPlan(), refused=False, hours=2)

    assert pauses[:4] == [0, 60, 120, 240]
    assert set(pauses[4:]) == {300}


def test_repairs_that_whatsapp_refuses_are_capped_to_one_an_hour() -> None:
    plan = RepairPlan()
    pauses = repairs(plan, refused=True, hours=6)

    assert pauses[:MAX_REFUSALS] == [0, 60, 120, 240, 300]
    assert set(pauses[MAX_REFUSALS:]) == {3_600}
    assert plan.is_capped


def test_lost_network_ends_the_cap() -> None:
    plan = RepairPlan()
    repairs(plan, refused=True, hours=1)

    pauses = repairs(plan, refused=False, hours=1)

    assert not plan.is_capped
    assert max(pauses) <= 300


def test_lag_counts_from_the_last_event_that_went_on() -> None:
    lag, counts = EventLag(), EventCounter()
    counts.reported, counts.stored = 2, 1
    assert lag.seconds(counts, 10.0) == 0
    assert lag.seconds(counts, 70.0) == 60.0
    counts.processed = 1
    assert lag.seconds(counts, 80.0) == 0
    assert lag.seconds(counts, 95.0) == 15.0
    counts.stored = counts.processed = 2
    assert lag.seconds(counts, 200.0) == 0
    assert lag.seconds(counts, 300.0) == 0
