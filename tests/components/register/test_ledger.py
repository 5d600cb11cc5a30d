"""Which entries of the ledger count."""

from datetime import UTC, datetime

from components.register.ledger import StageChange, mark_winners, production_stack, staged


def entry(
    step: int, follows: int, to: int, action: str = "promote", key: str = "", stage: str = ""
) -> StageChange:
    return StageChange(
        step=step,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        actor="ann",
        action="rollback" if action == "rollback" else "promote",
        stage="staging" if stage else "production",
        from_version=None,
        to_version=to,
        verdict="pass",
        follows=follows,
        key=key or str(step),
    )


def test_judging_a_ledger() -> None:
    #   1 ← 2 ← 4      3 followed 1 too, but came after 2; 5 is 4 sent twice
    entries = [
        entry(1, 0, 7),
        entry(2, 1, 8),
        entry(3, 1, 9),
        entry(4, 2, 5),
        entry(5, 2, 5, key="4"),
    ]
    assert [e.won for e in mark_winners(entries[::-1])] == [True, True, False, True, False]


def test_each_stage_has_its_own_line() -> None:
    #   production  1 ←--- 3      5 follows 1 too late
    #   staging       2 ←--- 4
    entries = [
        entry(1, 0, 7),
        entry(2, 0, 8, stage="staging"),
        entry(3, 1, 8),
        entry(4, 2, 9, stage="staging"),
        entry(5, 1, 6),
    ]
    marked = mark_winners(entries)
    assert [e.won for e in marked] == [True, True, True, True, False]
    assert (production_stack(marked), staged(marked)) == ([7, 8], 9)
    assert staged(marked[:2]) == 8
    assert staged(marked[:3]) is None, "8 went on into production"


def test_a_deleted_entry_does_not_stop_the_ledger() -> None:
    marked = mark_winners([entry(1, 0, 7), entry(3, 2, 9), entry(4, 2, 6), entry(5, 3, 8)])
    assert [e.won for e in marked] == [True, True, False, True]


def test_the_stack_of_production() -> None:
    steps = [entry(1, 0, 1), entry(2, 1, 2), entry(3, 2, 3), entry(4, 3, 2, "rollback")]
    assert production_stack(mark_winners(steps)) == [1, 2]
    steps += [entry(5, 4, 4), entry(6, 5, 2, "rollback"), entry(7, 6, 1, "rollback")]
    assert production_stack(mark_winners(steps[:6])) == [1, 2]
    assert production_stack(mark_winners(steps)) == [1]
