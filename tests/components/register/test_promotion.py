"""Promotion, rollback, and the ledger that decides between people who are all in a hurry."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.base import InputError, Refused
from components.config import Settings
from components.register import (
    alias_version,
    champion_of,
    download,
    gone_versions,
    history,
    list_versions,
    promote,
    rollback,
    show,
    verdict_of,
)
from tests.components.register.crowd import aliases, check_twenty_at_once, twenty_versions

Add = Callable[..., int]


def test_promote_and_roll_back(settings: Settings, add_version: Add) -> None:
    one, two, three = (add_version(settings) for _ in range(3))
    promote(one, settings, actor="ann", reason="first")
    promote(two, settings, actor="bob")
    entry = promote("candidate", settings, actor="ann")
    assert (entry.from_version, entry.to_version, entry.verdict) == (two, three, "pass")
    assert aliases(settings) == {"production": three, "previous": two, "candidate": three}

    back = rollback(settings, actor="cem", reason="angry is never found")
    assert (back.from_version, back.to_version) == (three, two)
    assert aliases(settings) == {"production": two, "previous": one, "candidate": three}
    with pytest.raises(Refused, match="version 3 is not in production any more"):
        rollback(settings, actor="dee", version=three)
    rollback(settings, actor="cem", version=two)
    assert aliases(settings) == {"production": one, "candidate": three}
    with pytest.raises(Refused, match="nothing to roll back to"):
        rollback(settings, actor="cem")

    entries = history(settings)
    assert [(e.step, e.actor, e.action, e.from_version, e.to_version) for e in entries] == [
        (1, "ann", "promote", None, one),
        (2, "bob", "promote", one, two),
        (3, "ann", "promote", two, three),
        (4, "cem", "rollback", three, two),
        (5, "cem", "rollback", two, one),
    ]
    assert all(entry.won and not entry.forced for entry in entries)
    assert (entries[0].reason, entries[3].reason) == ("first", "angry is never found")
    assert abs((datetime.now(UTC) - entries[-1].at).total_seconds()) < 60


def test_promoting_production_changes_nothing(settings: Settings, add_version: Add) -> None:
    number = add_version(settings)
    first = promote(number, settings, actor="ann")
    assert promote(number, settings, actor="bob") == first
    assert len(history(settings)) == 1


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_only_a_pass_is_promoted(verdict: str, settings: Settings, add_version: Add) -> None:
    number = add_version(settings, verdict)
    with pytest.raises(Refused, match=f"verdict is {verdict}.*macro F1"):
        promote(number, settings, actor="ann")
    with pytest.raises(Refused, match=f"verdict is {verdict}"):
        promote(number, settings, actor="ann", to="staging")
    assert alias_version("production", settings) is None
    assert history(settings) == []
    with pytest.raises(InputError, match="reason"):
        promote(number, settings, actor="ann", force=True)
    entry = promote(number, settings, actor="ann", force=True, reason="the only one we have")
    assert (entry.forced, entry.verdict, alias_version("production", settings)) == (
        True,
        verdict,
        number,
    )


def test_where_the_verdict_is_inconclusive_a_person_decides(
    settings: Settings, add_version: Add
) -> None:
    number = add_version(settings, "inconclusive")
    with pytest.raises(Refused, match="a person must decide, and say why with --reason"):
        promote(number, settings, actor="ann", reason=" ")
    entry = promote(number, settings, actor="ann", reason="listened to thirty turns")
    assert (entry.forced, entry.verdict) == (False, "inconclusive")
    assert alias_version("production", settings) == number


def test_staging(settings: Settings, add_version: Add) -> None:
    one, two, three = (add_version(settings) for _ in range(3))
    promote(one, settings, actor="ann")
    entry = promote(two, settings, actor="bob", reason="a tenth of the traffic", to="staging")
    assert (entry.stage, entry.from_version, entry.to_version) == ("staging", None, two)
    assert promote(two, settings, actor="cem", to="staging") == entry
    assert aliases(settings) == {"production": one, "staging": two, "candidate": three}

    # Into production it goes, and so out of staging; not back.
    promote("staging", settings, actor="bob")
    assert aliases(settings) == {"production": two, "previous": one, "candidate": three}
    assert alias_version("staging", settings) is None
    with pytest.raises(Refused, match="version 2 is in production already"):
        promote(two, settings, actor="bob", to="staging")

    # What does not do well there is taken out; the way back of production does not touch it.
    promote(three, settings, actor="bob", to="staging")
    rollback(settings, actor="ann")
    assert alias_version("staging", settings) == three
    out = rollback(settings, actor="ann", reason="slow", stage="staging")
    assert (out.from_version, out.to_version, out.verdict) == (three, None, "pass")
    assert aliases(settings) == {"production": one, "candidate": three}
    with pytest.raises(Refused, match="no version is in staging"):
        rollback(settings, actor="ann", stage="staging")
    with pytest.raises(Refused, match="not in staging any more: there is nothing"):
        rollback(settings, actor="ann", stage="staging", version=three)
    assert [(e.stage, e.action, e.from_version, e.to_version) for e in history(settings)] == [
        ("production", "promote", None, one),
        ("staging", "promote", None, two),
        ("production", "promote", one, two),
        ("staging", "promote", None, three),
        ("production", "rollback", two, one),
        ("staging", "rollback", three, None),
    ]
    with pytest.raises(InputError, match="no such stage"):
        promote(two, settings, actor="ann", to="archive")  # type: ignore[arg-type]


def test_every_alias_by_name(settings: Settings, add_version: Add) -> None:
    one, two, three = (add_version(settings) for _ in range(3))
    promote(one, settings, actor="ann")
    promote(two, settings, actor="ann")
    promote(one, settings, actor="ann", to="staging")
    versions = {a: alias_version(a, settings) for a in ("candidate", "staging", "production")}
    assert versions == {"candidate": three, "staging": one, "production": two}
    assert alias_version("previous", settings) == one
    with pytest.raises(InputError, match="champion: no such alias; there are candidate, "):
        alias_version("champion", settings)


def test_a_model_is_held_against_what_was_there_before_it(
    settings: Settings, add_version: Add
) -> None:
    assert champion_of("new", settings) is None
    digests = {n: show(n, settings).digest for n in (add_version(settings) for _ in range(3))}

    def champions() -> list[int | None]:
        """Of a new model, and of each version's."""
        versions = [champion_of(digest, settings) for digest in ("new", *digests.values())]
        return [version.number if version else None for version in versions]

    assert champions() == [None, None, None, None]
    promote(1, settings, actor="ann")
    assert champions() == [1, None, 1, 1]
    promote(2, settings, actor="ann")
    assert champions() == [2, 2, 1, 2]
    rollback(settings, actor="ann")
    assert champions() == [1, None, 1, 1]


def test_the_verdict_must_be_the_one_registered(settings: Settings, add_version: Add) -> None:
    from mlflow import MlflowClient

    number = add_version(settings, "fail")
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    client.set_model_version_tag("moodline", str(number), "verdict", "pass")
    with pytest.raises(InputError, match="tag says 'pass', its verdict"):
        promote(number, settings, actor="ann")
    client.delete_model_version_tag("moodline", str(number), "verdict")
    with pytest.raises(InputError, match="has no verdict"):
        promote(number, settings, actor="ann")
    assert show(number, settings).verdict == "none"


def test_a_verdict_of_another_model_promotes_nothing(settings: Settings, add_version: Add) -> None:
    from mlflow import MlflowClient

    number = add_version(settings)
    assert verdict_of(number, settings).passed
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    client.set_model_version_tag("moodline", str(number), "digest", "f" * 64)
    with pytest.raises(InputError, match=r"its verdict is of model .* not of the model that was"):
        promote(number, settings, actor="ann")
    assert history(settings) == []


def test_what_is_not_there(settings: Settings, add_version: Add) -> None:
    assert list_versions(settings) == []
    assert history(settings) == []
    assert alias_version("production", settings) is None
    with pytest.raises(InputError, match="candidate"):
        promote("candidate", settings, actor="ann")
    add_version(settings)
    for name in ("7", "production", "nonsense"):
        with pytest.raises(InputError, match=name):
            promote(name, settings, actor="ann")
    with pytest.raises(InputError, match="name of who"):
        promote(1, settings, actor=" ")


def test_before_the_first_registration(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert (list_versions(settings), history(settings)) == ([], [])
    assert alias_version("production", settings) is None
    assert not settings.home.exists()


def test_aliases_are_repaired_from_the_ledger(settings: Settings, add_version: Add) -> None:
    from mlflow import MlflowClient

    one, two = add_version(settings), add_version(settings)
    promote(one, settings, actor="ann")
    promote(two, settings, actor="ann")
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    client.set_registered_model_alias("moodline", "production", str(one))
    client.delete_registered_model_alias("moodline", "previous")
    assert alias_version("production", settings) == two
    newest, older = list_versions(settings)
    assert (newest.aliases, older.aliases) == (("production", "candidate"), ("previous",))
    assert aliases(settings) == {"production": two, "previous": one, "candidate": two}


def test_a_version_deleted_from_mlflow(settings: Settings, add_version: Add) -> None:
    from mlflow import MlflowClient

    one, two = add_version(settings), add_version(settings)
    promote(one, settings, actor="ann")
    promote(two, settings, actor="ann")
    MlflowClient(settings.mlflow_uri, settings.mlflow_uri).delete_model_version("moodline", "1")
    assert [version.number for version in list_versions(settings)] == [two]
    with pytest.raises(InputError, match=f"version {one} is gone: it has been deleted"):
        rollback(settings, actor="ann")
    assert alias_version("production", settings) == two
    assert gone_versions(settings) == {"previous": one}

    # What was in staging leaves it all the same.
    three = add_version(settings)
    promote(three, settings, actor="ann", to="staging")
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    client.delete_model_version("moodline", str(three))
    assert gone_versions(settings) == {"previous": one, "staging": three}
    assert rollback(settings, actor="ann", stage="staging").verdict == "none"

    # And where production's own is gone, every way to it says so, and another can be promoted.
    client.delete_model_version("moodline", str(two))
    assert list_versions(settings) == []
    for ask in (
        lambda: download("production", settings.home / "model", settings),
        lambda: champion_of("new", settings),
        lambda: show("production", settings),
    ):
        with pytest.raises(InputError, match=f"version {two} is gone"):
            ask()
    four = add_version(settings)
    assert promote(four, settings, actor="ann").from_version == two
    assert gone_versions(settings) == {"previous": two}


def test_a_model_deleted_whole_is_not_counted_anew(settings: Settings, add_version: Add) -> None:
    """Else the next version would be in production by its number, and nobody had promoted it."""
    from mlflow import MlflowClient

    promote(add_version(settings), settings, actor="ann")
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    client.delete_registered_model("moodline")
    for ask in (
        lambda: add_version(settings),
        lambda: champion_of("new", settings),
        lambda: download("production", settings.home / "model", settings),
    ):
        with pytest.raises(InputError, match="deleted moodline with all its versions from MLflow"):
            ask()
    assert list_versions(settings) == []
    client.delete_registered_model("moodline-ledger")
    assert add_version(settings) == 1
    assert alias_version("production", settings) is None


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_reason_of_any_length_is_kept_whole_or_refused_before_anything_is_written(
    store: str, request: pytest.FixtureRequest, tmp_path: Path, add_version: Add
) -> None:
    """PostgreSQL's column for it is short, SQLite's has no end: both answer alike."""
    if store == "sqlite":
        settings: Settings = request.getfixturevalue("settings")
    else:
        address = request.getfixturevalue("database")("reasons")
        settings = Settings(home=tmp_path / "home", mlflow_uri=address)
    one, two = add_version(settings), add_version(settings)
    whole = "ß😀\n" * 1333 + "."
    assert len(whole) == 4000
    for actor, reason, message in (
        ("ann", "x" * 4001, "the reason has 4001 characters; at most 4000"),
        ("ann", "x" * 20_000, "the reason has 20000 characters; at most 4000"),
        ("ann", "a\0b", "the reason holds characters that are no text"),
        ("ann", "a\udce4b", "the reason holds characters that are no text"),
        ("a" * 201, "why", "the actor has 201 characters; at most 200"),
    ):
        with pytest.raises(InputError, match=message):
            promote(one, settings, actor=actor, reason=reason)
    assert (history(settings), alias_version("production", settings)) == ([], None)
    promote(one, settings, actor="ann", reason="first")
    promote(two, settings, actor="a" * 200, reason=whole)
    with pytest.raises(InputError, match="the reason has 4001"):
        rollback(settings, actor="ann", reason="x" * 4001)
    assert rollback(settings, actor="a" * 200, reason=whole).won
    assert [entry.reason for entry in history(settings)] == ["first", whole, whole]
    assert aliases(settings) == {"production": one, "candidate": two}


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_twenty_promotions_at_once(
    store: str, request: pytest.FixtureRequest, tmp_path: Path, add_version: Add
) -> None:
    if store == "sqlite":
        settings: Settings = request.getfixturevalue("settings")
    else:
        address = request.getfixturevalue("database")("twenty")
        settings = Settings(home=tmp_path / "home", mlflow_uri=address)
    check_twenty_at_once(settings, twenty_versions(settings, add_version))
