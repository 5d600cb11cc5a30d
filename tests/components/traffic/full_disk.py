"""Keep a recording on a disk that is too small for it, for `test_log`; says what came of it."""

import sys
from pathlib import Path

import numpy as np

from components.traffic import keep_audio
from tests.small_disk import fill

folder = Path(sys.argv[1])
noise = 0.3 * np.random.default_rng(1).normal(size=16_000 * 60).astype("f4")
for prepare in (lambda: None, lambda: fill(folder)):  # it fills up on the way; it is full before
    prepare()
    try:
        keep_audio(folder / "audio" / "a.flac", noise)
    except OSError as error:
        sys.stdout.write(f"{error}\n")
sys.stdout.write(f"left {[path.name for path in (folder / 'audio').iterdir()]}\n")
