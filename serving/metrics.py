"""What the service counts, for Prometheus; BentoML adds its own and sums over workers."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)

REQUESTS = Counter(
    "moodline_requests", "Requests answered, by path and HTTP status.", ["path", "status"]
)
STAGES = Histogram(
    "moodline_stage_seconds",
    "Seconds of a recording in a stage: wait, decode, transcribe, diarize, align, classify.",
    ["stage"],
    buckets=SECONDS,
)
AUDIO = Counter("moodline_audio_seconds", "Seconds of sound analysed.")
TURNS = Counter("moodline_turns", "Turns found.")
EMOTIONS = Counter(
    "moodline_emotions", "Turns by predicted emotion and model version.", ["emotion", "version"]
)
WAITING = Gauge(
    "moodline_waiting", "Recordings waiting or being analysed.", multiprocess_mode="livesum"
)
TRITON_FAILURES = Counter(
    "moodline_triton_failures", "Calls to Triton that failed, by kind.", ["kind"]
)
