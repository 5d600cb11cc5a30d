"""Made-up traffic with two things in it that real traffic has: turns of a recording are alike, and
recordings differ. Logged as the service would have, and as a version's reference."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.conversation import Turn
from components.drift import Reference, Sample
from components.traffic import MEASURES, LoggedRequest, LoggedTurn, LogWriter, TurnLog


def traffic(
    recordings: int,
    seed: int,
    *,
    turns: int = 14,
    sad: float = 0.25,
    snr: float = 30.0,
    embedding: float = 0.0,
    asr: bool = True,
) -> Sample:
    """Recordings of `turns` turns; half of the variance of everything lies between recordings."""
    dice = np.random.default_rng(seed)
    own = np.repeat(dice.normal(size=(recordings, 16)), turns, axis=0)
    x = (own + dice.normal(size=own.shape)) / np.sqrt(2)
    shares = dice.dirichlet(40 * np.array([*[(1 - sad) / 3] * 3, sad]), size=recordings)
    drawn = dice.random(len(x))[:, None] > np.repeat(shares, turns, axis=0).cumsum(axis=1)
    emotion = drawn[:, :3].sum(axis=1)
    features = {
        "emotion": 0.1 + 0.6 * np.eye(4)[emotion],
        "embedding": x[:, 8:] + embedding + 0.5 * np.eye(8)[emotion],
        "confidence": 0.6 + 0.1 * x[:, 0],
        "duration": np.exp(1 + 0.5 * x[:, 1]),
        "words_per_second": 2.5 + 0.5 * x[:, 2],
        "loudness_db": -25 + 5 * x[:, 3],
        "snr_db": snr + 5 * x[:, 4],
        "asr_confidence": (0.8 + 0.1 * x[:, 5]) * (1.0 if asr else np.nan),
    }
    names = [f"{seed}-{number}" for number in range(recordings) for _ in range(turns)]
    return Sample(np.array(names, dtype=object), features)


def to_log(log: TurnLog, sample: Sample, time: datetime, version: int = 3) -> None:
    """Log a sample as requests, as the service would have."""
    writer = LogWriter(log)
    for number, name in enumerate(dict.fromkeys(sample.recordings)):
        own = sample.where(sample.recordings == name)
        turns = []
        for i in range(len(own)):
            value = {key: values[i] for key, values in own.features.items()}
            p = dict(zip(sample.labels, map(float, value["emotion"]), strict=True))
            emotion = max(p, key=p.__getitem__)
            asr = None if np.isnan(value["asr_confidence"]) else float(value["asr_confidence"])
            said = Turn("x", i, i + 1.0, "A", "", emotion,
                        float(value["confidence"]), p, asr)  # fmt: skip
            measures = {key: float(value[key]) for key in MEASURES}
            turns.append(LoggedTurn(said, value["embedding"].astype("f4"), measures))
        writer.write(
            LoggedRequest(f"r-{version}-{number}", name, time, "/v1/analyze", version,
                          "production", False, tuple(turns), labels=sample.labels)
        )  # fmt: skip
    writer.close()


def to_version(folder: Path, reference: Reference) -> Path:
    """A version's folder with this drift reference, as training writes it."""
    folder.mkdir(exist_ok=True)
    every = reference.every
    held = {*reference.validation.recordings}
    columns = {
        "part": ["validation" if r in held else "training" for r in every.recordings],
        "recording": every.recordings.tolist(),
        "emotion": [every.labels[i] for i in every.features["emotion"].argmax(axis=1)],
        "probabilities": every.features["emotion"].tolist(),
        "embedding": pa.array(every.features["embedding"].tolist(), pa.list_(pa.float32())),
    }
    numbers = [name for name in every.features if name not in ("emotion", "embedding")]
    columns |= {name: pa.array(every.features[name], pa.float32()) for name in numbers}
    pq.write_table(pa.table(columns), folder / "drift_reference.parquet")
    names = {"id2label": dict(enumerate(every.labels))}
    (folder / "config.json").write_text(json.dumps(names), encoding="utf-8")
    return folder
