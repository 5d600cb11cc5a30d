"""The Kubeflow Pipelines components `corpus` and `recordings`, and those that look before them."""

from typing import NamedTuple

from kfp import dsl

from components.config import SLIM_IMAGE


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def corpus_digest(folder: str, labels: str = "") -> str:
    """The digest of a corpus as it is now; a corpus with a fault is refused here.

    Args:
        folder: the corpus.
        labels: the profile's (`LabelStep`), which has to know those of the corpus. The digest does
            not depend on them.
    """
    import logging

    from components.config import LabelStep, Settings
    from components.corpus import check_corpus

    settings = Settings()
    settings.check_writable()
    step = LabelStep.model_validate_json(labels or "{}")
    report = check_corpus(folder, cache=settings.finished, labels=step)
    for line in report.findings:
        logging.warning(line)
    return report.digest


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def join_feedback(
    folder: str,
    digest: str,
    feedback: str,
) -> NamedTuple("Joined", chosen=str, digest=str, state=str):  # type: ignore[valid-type]
    """Choose what people corrected so far and joins the corpus, for training only.

    Args:
        folder: the corpus.
        digest: its own.
        feedback: `log`: from the prediction log's database; or an export's folder; "": none.

    Returns:
        The name of what is chosen, by which `corpus` reads it; "" where there is nothing. The
        digest of both together. And what names all that this run is trained on, so that the next
        one knows whether any is new.
    """
    import logging
    from typing import NamedTuple

    from components.base import located
    from components.config import Settings
    from components.corpus import choose_feedback, joined_digest, training_state
    from components.corpus.chosen import LOG
    from components.traffic import keep_only

    class Joined(NamedTuple):
        chosen: str
        digest: str
        state: str

    settings = Settings()
    chosen = choose_feedback(feedback, settings)
    if feedback == LOG:  # what was erased since goes from the steps' cache, too
        keep_only(settings.cache, [recording.name for recording in chosen.recordings])
    if chosen.why_none:
        logging.warning("no feedback joins the corpus: %s", chosen.why_none)
    whole = joined_digest(digest, chosen.digest)
    return Joined(chosen.name, whole, training_state(located(folder), chosen.state))


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def corpus(
    folder: str,
    digest: str,
    manifest: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.Artifact],
    feedback: str = "",
    chosen: str = "",
    cache_name: str = "",
    labels: str = "",
) -> None:
    """A labelled corpus, read and checked, to a manifest, and a report of what is in it.

    The digest is an input so that KFP's cache tells contents apart: the folder's name does not. So
    is that of the feedback which `join_feedback` chose, whose sound stays where it is kept; and a
    name of the cache: under another one all is done anew. `labels` are the profile's (`LabelStep`).
    Every step that takes the manifest gets its metadata in one argument, of which Linux takes
    128 KiB: so what grows with the corpus stands in the report.
    """
    import json
    from dataclasses import asdict
    from pathlib import Path

    from components.base import InputError, atomic_path
    from components.config import LabelStep, Settings
    from components.conversation import SOURCES, write_manifest
    from components.corpus import (
        check_corpus,
        choose_feedback,
        joined,
        joined_digest,
        read_corpus,
        with_labels,
    )

    settings = Settings()
    step = LabelStep.model_validate_json(labels or "{}")
    checked = check_corpus(folder, cache=settings.finished, labels=step)
    if checked.digest != digest:
        raise InputError(f"{folder}: was changed while the run went on; start it again")
    manifest.metadata.update(
        recordings=checked.recordings, utterances=checked.utterances,
        speakers=len(checked.speakers), digest=digest, synthetic=checked.synthetic,
    )  # fmt: skip
    recordings = read_corpus(folder, settings.finished, step)
    sources = {}
    if chosen:
        came_back = choose_feedback(feedback, settings, chosen)
        recordings = joined(recordings, came_back, settings)
        added = with_labels(recordings[checked.recordings :], step)
        recordings[checked.recordings :] = added
        known = came_back.sources or {}
        sources = {r.name: known[r.name] for r in added if r.name in known}
        manifest.metadata.update(
            digest=joined_digest(digest, came_back.digest),
            feedback=sum(len(r.utterances) for r in added),
        )
    with atomic_path(Path(report.path)) as temporary:
        temporary.write_text(json.dumps(asdict(checked), indent=1), encoding="utf-8")
    write_manifest(Path(manifest.path), recordings, packed=True)
    if sources:  # what is erased later must be found
        text = json.dumps(sources, ensure_ascii=False, indent=1)
        Path(manifest.path, SOURCES).write_text(text, encoding="utf-8")


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def recordings_digest(folder: str, by_channel: bool = False) -> str:
    """The digest of a folder's recordings; what cannot be read is left out, and logged here. So is
    what has no channel for each speaker, if they are told apart `by_channel`."""
    import logging

    from components.config import Settings
    from components.corpus import corpus_digest, read_recordings

    left_out: list[str] = []
    settings = Settings()
    settings.check_writable()
    cache = settings.finished
    content = read_recordings(folder, cache, left_out, by_channel=by_channel)
    for line in left_out:
        logging.warning("left out: %s", line)
    return corpus_digest(content, cache)


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def recordings(
    folder: str, digest: str, manifest: dsl.Output[dsl.Dataset], by_channel: bool = False
) -> None:
    """A folder of recordings to a manifest without references. For the digest see `corpus`, for
    `by_channel` see `recordings_digest`."""
    from pathlib import Path

    from components.base import InputError
    from components.config import Settings
    from components.conversation import write_manifest
    from components.corpus import corpus_digest, read_recordings

    cache = Settings().finished
    content = read_recordings(folder, cache, by_channel=by_channel)
    if corpus_digest(content, cache) != digest:
        raise InputError(f"{folder}: was changed while the run went on; start it again")
    manifest.metadata.update(recordings=len(content), digest=digest)
    write_manifest(Path(manifest.path), content, packed=True)
