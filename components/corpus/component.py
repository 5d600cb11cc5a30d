"""The Kubeflow Pipelines components `corpus`, and `corpus_digest` before it."""

from kfp import dsl

from components.profile.images import SLIM_IMAGE


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def corpus_digest(folder: str) -> str:
    """What names a corpus' content today; a corpus with a fault is refused here."""
    import logging
    from pathlib import Path

    from components.corpus import check_corpus

    report = check_corpus(Path(folder))
    for line in report.findings:
        logging.warning(line)
    return report.digest


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def corpus(folder: str, digest: str, manifest: dsl.Output[dsl.Dataset]) -> None:
    """A labelled corpus, read and checked, to a manifest.

    The digest is part of what a cache knows this step by: the folder's name says nothing about
    what is in it.
    """
    from dataclasses import asdict
    from pathlib import Path

    from components.conversation import InputError, write_manifest
    from components.corpus import check_corpus, read_corpus

    report = check_corpus(Path(folder))
    if report.digest != digest:
        raise InputError(f"{folder}: was changed while the run went on; start it again")
    manifest.metadata.update(asdict(report))
    write_manifest(Path(manifest.path), read_corpus(Path(folder)))
