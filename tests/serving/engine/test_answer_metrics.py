"""What is counted of answers: by hand."""

from dataclasses import replace

import prometheus_client
import pytest

from components.conversation import SpeakerSegment, Turn
from serving.engine.analysis import Analysis
from serving.engine.answer_metrics import count_answers, count_recording, speech_seconds


def value(name: str, **labels: str) -> float:
    return prometheus_client.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("segments", "speech", "overlap"),
    [
        ([], 0, 0),
        ([(0, 6, "A"), (9, 13, "A"), (5, 11, "B")], 13, 3),
        ([(0, 4, "A"), (2, 5, "A")], 5, 0),  # one speaker's own segments count once
        ([(0, 9, "A"), (1, 2, "A"), (3, 4, "B"), (3, 4, "C")], 9, 1),
        ([(0, 1, "A"), (1, 2, "B")], 2, 0),
    ],
)
def test_how_long_somebody_speaks_and_how_long_two_do(segments, speech, overlap) -> None:
    found = speech_seconds([SpeakerSegment(*segment) for segment in segments])
    assert found == pytest.approx((speech, overlap))


def test_a_recording() -> None:
    names = {
        "words": ("moodline_words_total", {}),
        "lonely": ("moodline_words_without_total", {"what": "speaker"}),
        "untimed": ("moodline_words_without_total", {"what": "time"}),
        "speech": ("moodline_speech_seconds_total", {}),
        "overlap": ("moodline_overlap_seconds_total", {}),
        "audio": ("moodline_audio_seconds_total", {}),
        "turns": ("moodline_turns_total", {}),
    }

    def look() -> dict[str, float]:
        return {key: value(name, **labels) for key, (name, labels) in names.items()}

    before = look()
    turns = (
        Turn("r", 0.0, 2.0, "A", "how are you today"),
        Turn("r", 5.0, 6.0, "unknown", "fine thanks"),
    )
    segments = (SpeakerSegment(0.0, 2.0, "A"), SpeakerSegment(1.5, 3.0, "B"))
    count_recording(Analysis(10.0, turns, segments, words_without_times=3))
    added = {key: after - before[key] for key, after in look().items()}
    heard = {"words": 6, "lonely": 2, "untimed": 3, "turns": 2}
    assert added == pytest.approx(heard | {"speech": 3, "overlap": 0.5, "audio": 10})


def test_answers_are_counted_whatever_is_logged() -> None:
    def look() -> list[float]:
        return [
            value("moodline_emotions_total", emotion="sad", version="77"),
            value("moodline_confidence_sum", version="77"),
            value("moodline_entropy_bits_sum"),
            value("moodline_uncertain_total", version="77"),
            value("moodline_snr_db_sum"),
            value("moodline_asr_confidence_sum"),
        ]

    before = look()
    p = {"angry": 0.0, "happy": 0.0, "neutral": 0.5, "sad": 0.5}
    turn = Turn("r", 0.0, 2.0, "A", "how are you", "sad", 0.5, p, 0.75)
    unsure = replace(turn, uncertain=True)
    count_answers([turn, unsure], [{"snr_db": 21.0}, {"snr_db": 1.0}], 77)
    added = [after - was for was, after in zip(before, look(), strict=True)]
    assert added == pytest.approx([2, 1.0, 2.0, 1, 22.0, 1.5])
