"""What the service counts, for Prometheus; BentoML adds its own and sums over workers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.multiprocess import mark_process_dead

from components.base import watched

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)

REQUESTS = Counter(
    "moodline_requests",
    "Requests answered, by path and HTTP status; 499: the sender no longer waited.",
    ["path", "status"],
)
REQUEST_SECONDS = Histogram(
    "moodline_request_seconds",
    "Seconds from a request's beginning to its answer's end, by path.",
    ["path"],
    buckets=SECONDS,
)
ANALYZE_TIME_RATIO = Histogram(
    "moodline_analyze_time_ratio",
    "Time to the answer of /v1/analyze, in lengths of its recording (10 seconds at least).",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5, 10),
)
STAGES = Histogram(
    "moodline_stage_seconds",
    "Seconds of a recording in a stage: wait, decode, transcribe, diarize, align, classify.",
    ["stage"],
    buckets=SECONDS,
)
WORK_SECONDS = Counter(
    "moodline_work_seconds",
    "Seconds in which recordings were worked on, by kind of work; kinds go on side by side.",
    ["work"],
)
WORK_PROCESSOR_SECONDS = Counter(
    "moodline_work_processor_seconds",
    "Seconds of all cores that work on recordings took, by kind of work.",
    ["work"],
)
AUDIO = Counter("moodline_audio_seconds", "Seconds of sound analysed.")
SPEECH = Counter("moodline_speech_seconds", "Seconds of it in which somebody speaks.")
OVERLAP = Counter("moodline_overlap_seconds", "Seconds of it in which two or more speak.")
TURNS = Counter("moodline_turns", "Turns found.")
WORDS = Counter("moodline_words", "Words recognised.")
WORDS_WITHOUT = Counter(
    "moodline_words_without",
    "Words without times of their own, or in nobody's speech: time, speaker.",
    ["what"],
)
ANSWERS = Counter(
    "moodline_emotions", "Turns by predicted emotion and model version.", ["emotion", "version"]
)
UNCERTAIN = Counter(
    "moodline_uncertain",
    "Turns whose answer was marked as uncertain, by model version.",
    ["version"],
)
WAITING = Gauge(
    "moodline_waiting", "Recordings waiting or being analysed.", multiprocess_mode="livesum"
)
LIVE_CALLS = Gauge(
    "moodline_live_calls", "Live calls that are listened to.", multiprocess_mode="livesum"
)
LIVE_ENDED = Counter(
    "moodline_live_ended",
    "Live calls by their end: handed_over, dropped, abandoned, failed; full: those refused.",
    ["outcome"],
)
LIVE_TURN_SECONDS = Histogram(
    "moodline_live_turn_seconds",
    "Seconds from the end of a turn in a live call until it was told.",
    buckets=(0.5, 1, 1.5, 2, 3, 4, 6, 10, 20, 60),
)
OLDEST_JOB = Gauge(
    "moodline_oldest_job_seconds",
    "How long the job that has waited longest has waited; 0: none waits.",
    multiprocess_mode="livemax",
)
CONFIDENCE = Histogram(
    "moodline_confidence",
    "Probability of the emotion answered, a turn, by model version.",
    ["version"],
    buckets=(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
ENTROPY = Histogram(
    "moodline_entropy_bits",
    "How undecided an answer is, a turn: 0 is sure, log2(n) is a guess among n labels.",
    buckets=(0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0),
)
SNR = Histogram(
    "moodline_snr_db",
    "Estimated signal to noise of a turn.",
    buckets=(0, 5, 10, 15, 20, 25, 30, 40, 50, 60),
)
ASR_CONFIDENCE = Histogram(
    "moodline_asr_confidence",
    "Mean score of a turn's recognised words.",
    buckets=(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
LOGGED = Counter(
    "moodline_logged", "Answers written into the prediction log: kept or failed.", ["outcome"]
)
LOG_SECONDS = Histogram(
    "moodline_log_seconds",
    "Seconds that logging an answer took.",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1),
)
FEEDBACK = Counter(
    "moodline_feedback",
    "Feedback: new, repeated, contradictory, or on an unknown request.",
    ["outcome"],
)
TRITON_FAILURES = Counter(
    "moodline_triton_failures", "Calls to Triton that failed, by kind.", ["kind"]
)
MODEL_SECONDS = Histogram(
    "moodline_model_seconds",
    "Seconds of a request at the emotion model, by role (production, staging, candidate).",
    ["role"],
    buckets=SECONDS,
)
SERVED = Gauge(
    "moodline_served_version", "The version in a role, 0 for none.", ["role"],
    multiprocess_mode="livemax",
)  # fmt: skip
REFUSED = Gauge(
    "moodline_refused_version", "1 for a version that failed its check and takes no traffic.",
    ["version"], multiprocess_mode="livemax",
)  # fmt: skip
REVIVALS = Gauge(
    "moodline_triton_revivals", "How often Triton or a model's process was brought back.",
    multiprocess_mode="livemax",
)  # fmt: skip
CANARY = Counter(
    "moodline_canary", "Requests to the version in staging: answered, failed, late.",
    ["outcome", "version"],
)  # fmt: skip
CANARY_HALTED = Counter(
    "moodline_canary_halted", "Versions taken out of staging for what they did.", ["version"]
)
SHADOW = Counter(
    "moodline_shadow",
    "Clips that the candidate was asked, too: same emotion, other emotion, failed,"
    " left_out, other_labels.",
    ["outcome", "version"],
)
SHADOW_DIFFERENCE = Histogram(
    "moodline_shadow_difference",
    "The largest difference of a clip's probabilities from the ones that were returned.",
    buckets=(0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1),
)


def forget_dead_workers() -> None:
    """Take the gauges of workers that were killed out of the sum; what they counted stays in it.

    A worker that ends in peace leaves them, too. So each new one does this for those before it.
    """
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        for path in Path(folder).glob("gauge_live*_*.db"):
            pid = int(path.stem.rpartition("_")[2])
            if not psutil.pid_exists(pid):
                mark_process_dead(pid, folder)


@contextmanager
def work_counted() -> Iterator[None]:
    """Count the block's work on a recording, whether or not it succeeds."""
    with watched() as stages:
        try:
            yield
        finally:
            for name, spent in stages.spent.items():
                WORK_SECONDS.labels(name).inc(spent.seconds)
                WORK_PROCESSOR_SECONDS.labels(name).inc(spent.processor)
