"""The Kubeflow Pipelines components `corpus` and `recordings`, and those of their digests."""

from kfp import dsl

from components.config import SLIM_IMAGE


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def corpus_digest(folder: str) -> str:
    """The digest of a corpus as it is now; a corpus with a fault is refused here."""
    import logging

    from components.config import Settings
    from components.corpus import check_corpus

    settings = Settings()
    settings.check_writable()
    report = check_corpus(folder, cache=settings.finished)
    for line in report.findings:
        logging.warning(line)
    return report.digest


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def corpus(
    folder: str,
    digest: str,
    manifest: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.Artifact],
) -> None:
    """A labelled corpus, read and checked, to a manifest, and a report of what is in it.

    The digest is an input so that KFP's cache tells contents apart: the folder's name does not.
    Every step that takes the manifest gets its metadata in one argument, of which Linux takes
    128 KiB: so what grows with the corpus stands in the report.
    """
    import json
    from dataclasses import asdict
    from pathlib import Path

    from components.base import InputError, atomic_path
    from components.config import Settings
    from components.conversation import write_manifest
    from components.corpus import check_corpus, read_corpus

    checked = check_corpus(folder, cache=Settings().finished)
    if checked.digest != digest:
        raise InputError(f"{folder}: was changed while the run went on; start it again")
    manifest.metadata.update(
        recordings=checked.recordings, utterances=checked.utterances,
        speakers=len(checked.speakers), digest=digest, synthetic=checked.synthetic,
    )  # fmt: skip
    with atomic_path(Path(report.path)) as temporary:
        temporary.write_text(json.dumps(asdict(checked), indent=1), encoding="utf-8")
    write_manifest(Path(manifest.path), read_corpus(folder, Settings().finished), packed=True)


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def recordings_digest(folder: str) -> str:
    """The digest of a folder's recordings; what cannot be read is left out, and logged here."""
    import logging

    from components.config import Settings
    from components.corpus import corpus_digest, read_recordings

    left_out: list[str] = []
    settings = Settings()
    settings.check_writable()
    cache = settings.finished
    content = read_recordings(folder, cache, left_out)
    for line in left_out:
        logging.warning("left out: %s", line)
    return corpus_digest(content, cache)


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def recordings(folder: str, digest: str, manifest: dsl.Output[dsl.Dataset]) -> None:
    """A folder of recordings to a manifest without references. For the digest see `corpus`."""
    from pathlib import Path

    from components.base import InputError
    from components.config import Settings
    from components.conversation import write_manifest
    from components.corpus import corpus_digest, read_recordings

    cache = Settings().finished
    content = read_recordings(folder, cache)
    if corpus_digest(content, cache) != digest:
        raise InputError(f"{folder}: was changed while the run went on; start it again")
    manifest.metadata.update(recordings=len(content), digest=digest)
    write_manifest(Path(manifest.path), content, packed=True)
