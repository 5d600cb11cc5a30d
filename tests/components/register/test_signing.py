"""Who may write MLflow can copy a verdict, but not sign it: what is not signed is not served."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import SecretStr

from components.base import InputError, file_digest, tree_digest
from components.config import Settings
from components.config.cluster import TEMPORARY_HOME
from components.register import (
    download,
    history,
    list_versions,
    promote,
    public_key,
    rollback,
    show,
    sign_version,
    verdict_of,
)
from components.register.keys import PRIVATE, make_key, private_key, signing_folder
from components.register.signature import SIGNATURE_TAG, sign
from components.register.trust import signing_key
from tests.components.register.conftest import write_model

Add = Callable[..., int]


def client_of(settings: Settings) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(settings.mlflow_uri, settings.mlflow_uri)


def package_of(settings: Settings, number: int) -> Path:
    """Where a version's package lies."""
    uri = client_of(settings).get_model_version_download_uri("moodline", str(number))
    return Path(unquote(urlsplit(uri).path))


def forge(settings: Settings, folder: Path, seed: int, **tags: str) -> int:
    """What an attacker with MLflow's address does: another model under version 1's papers."""
    client = client_of(settings)
    honest = client.get_model_version("moodline", "1")
    package = folder / f"forged-{seed}"
    shutil.copytree(package_of(settings, 1), package)
    shutil.rmtree(package / "artifacts" / "model")
    model = write_model(package / "artifacts" / "model", seed=seed)
    verdict = package / "artifacts" / "evidence" / "verdict.json"
    content = json.loads(verdict.read_text()) | {"model": tree_digest(model)}
    verdict.write_text(json.dumps(content))
    tags = {**honest.tags, "digest": tree_digest(model), **tags}
    tags = {name: value for name, value in tags.items() if value}
    made = client.create_model_version("moodline", str(package), honest.run_id, tags=tags)
    return int(made.version)


def refused(settings: Settings, version: int, folder: Path) -> str:
    """Every way to serve a version says the same."""
    ways: list[Callable[[], object]] = [
        lambda: promote(version, settings, actor="eve"),
        lambda: promote(version, settings, actor="eve", to="staging"),
        lambda: promote(version, settings, actor="eve", force=True, reason="trust me"),
        lambda: download(version, folder / "fetched", settings),
        lambda: verdict_of(version, settings),
    ]
    before, said = history(settings), set()
    for way in ways:
        with pytest.raises(InputError) as caught:
            way()
        said.add(str(caught.value))
    assert history(settings) == before
    assert not (folder / "fetched").exists()
    (line,) = said
    assert "\n" not in line
    return line


def test_a_copied_verdict_is_refused(settings: Settings, add_version: Add, tmp_path: Path) -> None:
    one = add_version(settings)
    assert promote(one, settings, actor="ann").won
    copied = forge(settings, tmp_path, 901)
    assert "its signature is of model" in refused(settings, copied, tmp_path)
    unsigned = forge(settings, tmp_path, 902, signature="")
    assert f"version {unsigned}: is not signed; if you know where" in refused(
        settings, unsigned, tmp_path
    )
    digest = tree_digest(tmp_path / "forged-901" / "artifacts" / "model")
    verdict = file_digest(tmp_path / "forged-901" / "artifacts" / "evidence" / "verdict.json")
    theirs = sign(make_key(tmp_path / "eve"), digest, verdict, how="moodline registered it")
    honest = json.loads(client_of(settings).get_model_version("moodline", "1").tags[SIGNATURE_TAG])
    envelopes = {
        "which is not trusted here": theirs,
        "its signature is damaged": "a signature",
        "its signature is wrong": json.dumps(
            json.loads(theirs) | {"signatures": honest["signatures"]}
        ),
    }
    for message, envelope in envelopes.items():
        client_of(settings).set_model_version_tag("moodline", str(copied), "signature", envelope)
        assert message in refused(settings, copied, tmp_path)
        assert message in show(copied, settings).signature
    assert [v.signature == "valid" for v in list_versions(settings)] == [False, False, True]


def test_another_verdict_of_the_same_model_is_refused(
    settings: Settings, add_version: Add, tmp_path: Path
) -> None:
    """The gate said no; somebody writes a better verdict beside the very same model."""
    one = add_version(settings, "fail")
    verdict = package_of(settings, one) / "artifacts" / "evidence" / "verdict.json"
    verdict.write_text(verdict.read_text().replace('"fail"', '"pass"'))
    client_of(settings).set_model_version_tag("moodline", str(one), "verdict", "pass")
    said = refused(settings, one, tmp_path)
    assert said == f"version {one}: its signature is of another verdict, not of its own"


def test_a_ledger_written_past_us_serves_nothing_unsigned(
    settings: Settings, add_version: Add, tmp_path: Path
) -> None:
    """Production is what MLflow's ledger says; whoever may write it may name a version only that
    has been signed."""
    one, two = add_version(settings), add_version(settings)
    promote(one, settings, actor="ann")
    promote(two, settings, actor="ann")
    client = client_of(settings)
    last = client.get_model_version("moodline-ledger", "2")
    forged = forge(settings, tmp_path, 903, signature="")
    tags = {**last.tags, "from": "2", "to": str(forged), "follows": "2", "key": "eve"}
    client.create_model_version("moodline-ledger", last.source, tags=tags)
    with pytest.raises(InputError, match=f"version {forged}: is not signed"):
        download("production", tmp_path / "fetched", settings)
    # The way back is open, and closed where the version there has lost its signature.
    client.delete_model_version_tag("moodline", str(two), SIGNATURE_TAG)
    with pytest.raises(InputError, match=f"version {two}: is not signed"):
        rollback(settings, actor="ann")
    assert len(history(settings)) == 3
    sign_version(two, settings, actor="ann", reason="it was made here in March")
    assert rollback(settings, actor="ann").to_version == two


def test_a_person_signs_with_a_reason(settings: Settings, add_version: Add, tmp_path: Path) -> None:
    one = add_version(settings)
    client_of(settings).delete_model_version_tag("moodline", "1", SIGNATURE_TAG)
    assert show(one, settings).signature == "none"
    for reason, message in (
        (" ", "needs a --reason"),
        ("x" * 4001, "has 4001 characters; at most 4000"),
    ):
        with pytest.raises(InputError, match=message):
            sign_version(one, settings, actor="ann", reason=reason)
    number, signed = sign_version("candidate", settings, actor="ann", reason="ünser eigenes 😀")
    assert (number, signed.why["actor"], signed.why["reason"]) == (1, "ann", "ünser eigenes 😀")
    assert show(one, settings).signature == "valid"
    assert sign_version(one, settings, actor="bob", reason="again")[1] == signed
    assert promote(one, settings, actor="ann").won
    forged = forge(settings, tmp_path, 904, signature="")
    package = tmp_path / "forged-904" / "artifacts"
    (package / "model" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="its files have digest"):
        sign_version(forged, settings, actor="ann", reason="looks right")
    (package / "evidence" / "verdict.json").write_text("{}")
    with pytest.raises(InputError, match="is not a verdict"):
        sign_version(forged, settings, actor="ann", reason="looks right")


def test_a_home_of_before_signs_what_it_registered_once(
    settings: Settings, add_version: Add, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = add_version(settings), add_version(settings)
    promote(one, settings, actor="ann")
    for number in (one, two):
        client_of(settings).delete_model_version_tag("moodline", str(number), SIGNATURE_TAG)
    folder = signing_folder(settings)
    # As a process leaves it that is killed right before the key gets its place.
    folder.rename(folder.with_name("signing.new"))
    with ThreadPoolExecutor(4) as pool:
        targets = [tmp_path / f"fetched-{i}" for i in range(4)]
        list(pool.map(lambda target: download("production", target, settings), targets))
    (line,) = [r.message for r in caplog.records if r.name == "moodline.migration"]
    assert line == f"migrated {folder}: its key signed what was registered here before: 1, 2"
    assert [v.signature for v in list_versions(settings)] == ["valid", "valid"]
    # From now on only a person signs what comes without a signature, whatever the key's fate.
    client_of(settings).delete_model_version_tag("moodline", str(two), SIGNATURE_TAG)
    (folder / PRIVATE).unlink()
    with pytest.raises(InputError, match=f"version {two}: is not signed"):
        promote(two, settings, actor="ann")


def test_keys(settings: Settings, add_version: Add, tmp_path: Path, monkeypatch: Any) -> None:
    one = add_version(settings)
    folder = signing_folder(settings)
    assert oct((folder / PRIVATE).stat().st_mode & 0o777) == "0o600"
    first = public_key(settings)
    assert first.startswith("ssh-ed25519 ")
    (public,) = folder.glob("*.pub")

    # Another machine, which asks the same MLflow, trusts whom it is told to.
    elsewhere = Settings(home=tmp_path / "elsewhere", mlflow_uri=settings.mlflow_uri)
    with pytest.raises(InputError, match="which is not trusted here; if it is yours, put its"):
        download(one, tmp_path / "fetched", elsewhere)
    trusting = elsewhere.model_copy(update={"trusted_keys": f"# ours\n{first} ann@work,"})
    assert download(one, tmp_path / "fetched", trusting)
    assert not signing_folder(elsewhere).exists()

    # A new key: what the old one signed counts, until its public half is taken away.
    second = public_key(settings, new=True)
    assert second != first and public_key(settings) == second
    assert show(one, settings).signature == "valid"
    assert private_key(settings) is not None
    public.unlink()
    assert "is not trusted here" in show(one, settings).signature
    sign_version(one, settings, actor="ann", reason="the old key may be known to others")
    assert show(one, settings).signature == "valid"

    # A cluster's Secret brings the key, and no file is made.
    pem = (folder / PRIVATE).read_text()
    pod = elsewhere.model_copy(update={"signing_key": SecretStr(pem)})
    assert public_key(pod) == second
    assert not signing_folder(elsewhere).exists()
    assert pem not in repr(pod) and "PRIVATE" not in str(pod.environment())
    with pytest.raises(InputError, match="change it there"):
        public_key(pod, new=True)

    for content, mode, message in (
        (pem, 0o644, r"every user can read this private key; chmod 600"),
        ("no key", 0o600, "is no Ed25519 private key"),
    ):
        (folder / PRIVATE).write_text(content)
        (folder / PRIVATE).chmod(mode)
        with pytest.raises(InputError, match=message):
            add_version(settings)
        # Who only serves needs no more than the public half.
        assert download(one, tmp_path / "served", settings)
    with pytest.raises(InputError, match="holds “rubbish”, which is no public key"):
        download(one, tmp_path / "again", elsewhere.model_copy(update={"trusted_keys": "rubbish"}))


def test_two_at_once_make_one_key(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: signing_key(client_of(settings), settings), range(8)))
    assert len({key.private_bytes_raw() for key in keys}) == 1
    assert sorted(p.suffix for p in signing_folder(settings).iterdir()) == [".pem", ".pub"]


def test_tags_that_change_between_two_looks_bring_no_other_model(
    settings: Settings, add_version: Add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write MLflow gives a forged version honest papers right after the first look."""
    from components.register import versions

    one = add_version(settings)
    client = client_of(settings)
    for tag in ("verdict", SIGNATURE_TAG):
        client.delete_model_version_tag("moodline", str(one), tag)
    sign_version(one, settings, actor="ann", reason="made by hand, without a gate")
    honest = client.get_model_version("moodline", str(one)).tags
    look = versions.get_version

    def papers(number: int, tags: dict[str, str]) -> None:
        for name in ("digest", SIGNATURE_TAG):
            client.set_model_version_tag("moodline", str(number), name, tags[name])

    forged = forge(settings, tmp_path, 905)
    lying = client.get_model_version("moodline", str(forged)).tags

    def look_and_lose(client: Any, version: int | str) -> Any:
        papers(forged, lying)
        seen = look(client, version)
        papers(forged, honest)
        return seen

    monkeypatch.setattr(versions, "get_version", look_and_lose)
    with pytest.raises(InputError, match="its files have digest"):
        download(forged, tmp_path / "fetched", settings)
    assert not (tmp_path / "fetched").exists()


def test_a_pod_without_a_volume_makes_no_key_that_would_be_lost() -> None:
    from mlflow import MlflowClient

    server = "http://127.0.0.1:9"  # nothing is asked of it
    settings = Settings(home=Path(TEMPORARY_HOME), mlflow_uri=server)
    with pytest.raises(InputError, match=r"no signing key.*MOODLINE_SIGNING_KEY"):
        signing_key(MlflowClient(server, server), settings)
    assert not signing_folder(settings).exists()
