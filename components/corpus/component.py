"""The Kubeflow Pipelines component `corpus`."""

from kfp import dsl

from components.profile.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def corpus(folder: str, manifest: dsl.Output[dsl.Dataset]) -> None:
    """A labelled corpus, read and checked, to a manifest."""
    import logging
    from dataclasses import asdict
    from pathlib import Path

    from components.conversation import write_manifest
    from components.corpus import check_corpus, read_corpus

    report = check_corpus(Path(folder))
    for line in report.findings:
        logging.warning(line)
    manifest.metadata.update(asdict(report))
    write_manifest(Path(manifest.path), read_corpus(Path(folder)))
