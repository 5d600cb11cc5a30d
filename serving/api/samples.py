"""Samples of known voices that come with a recording: the multipart fields `speaker:NAME`.

They are biometric data. They are heard for that recording and forgotten; those of a job lie in its
upload, which is deleted when the job ends.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile

from components.diarize import check_name

FIELD = "speaker:"
MAX_SAMPLES = 20
"""Of voices, with one recording."""

RECORDING = "recording"
"""The entry of a job's upload that is no sample."""


async def samples_of(request: Request) -> dict[str, IO[bytes]]:
    """The samples that a request brings, by the speakers' names.

    Raises:
        HTTPException: one is no file, or is empty; a name is given twice; or there are too many.
        InputError: a name cannot be one.
    """
    samples: dict[str, IO[bytes]] = {}
    for field, value in (await request.form()).multi_items():
        if not field.startswith(FIELD):
            continue
        name = field.removeprefix(FIELD)
        check_name(name)
        if not isinstance(value, UploadFile):
            raise HTTPException(422, f"send the sample of {name} as a file in “{FIELD}{name}”")
        if name in samples:
            raise HTTPException(422, f"the sample of {name} is sent twice; send one")
        if not value.size:
            raise HTTPException(400, f"the sample of {name} is empty")
        samples[name] = value.file
    if len(samples) > MAX_SAMPLES:
        raise HTTPException(422, f"{len(samples)} samples are sent; send {MAX_SAMPLES} at most")
    return samples


def bundled(upload: IO[bytes], samples: Mapping[str, IO[bytes]]) -> IO[bytes]:
    """A recording and its samples as one file; without samples the recording as it is."""
    if not samples:
        return upload
    bundle = tempfile.TemporaryFile()  # noqa: SIM115 - the job's owner closes it
    files = {RECORDING: upload} | {f"{FIELD}{name}": file for name, file in samples.items()}
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, file in files.items():
            file.seek(0)
            with archive.open(name, "w", force_zip64=True) as entry:
                shutil.copyfileobj(file, entry, 1 << 20)
    bundle.seek(0)
    return bundle


def unbundled(file: IO[bytes], names: Sequence[str]) -> tuple[IO[bytes], dict[str, IO[bytes]]]:
    """What `bundled` made one file of: the recording, and the samples of the names."""
    if not names:
        return file, {}
    with zipfile.ZipFile(file) as archive:

        def entry(name: str) -> IO[bytes]:
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with the last reference
            with archive.open(name) as packed:
                shutil.copyfileobj(packed, copy, 1 << 20)
            copy.seek(0)
            return copy

        return entry(RECORDING), {name: entry(f"{FIELD}{name}") for name in names}
