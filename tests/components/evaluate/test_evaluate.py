"""The whole evaluation on real, tiny models whose answers are known."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from components.config import ProtocolSettings
from components.conversation import (
    DEFAULT_LABELS,
    FEEDBACK,
    read_audio,
    read_turns,
    write_turns,
)
from components.evaluate import (
    evaluate,
    headline,
    predict_turns,
    read_test_turns,
)
from components.fusion import Classifier
from components.scoring import read_verdict


def test_the_numbers_by_hand(evaluation):
    # reference  calm: sad sad angry sad      loud: angry sad [other] happy
    # answers    calm: sad sad sad   sad      loud: sad   sad  sad    none
    metrics = evaluation.metrics
    assert (metrics["recordings"], metrics["utterances"], metrics["unscored_utterances"]) == (
        (2, 7, 1)
    )
    assert metrics["accuracy"]["correct"] == 4
    assert metrics["accuracy"]["total"] == 7
    assert metrics["accuracy"]["interval"] == {
        "low": pytest.approx(1 / 3),
        "high": pytest.approx(3 / 4),
    }
    # recalls: sad 4 of 4, angry 0 of 2, happy 0 of 1; F1 of sad: 2·4 / (4 + 6)
    assert metrics["uar"]["rate"] == pytest.approx(1 / 3)
    assert metrics["macro_f1"]["rate"] == pytest.approx(0.8 / 3)
    assert metrics["weighted_f1"]["rate"] == pytest.approx(0.8 * 4 / 7)
    assert metrics["confusion"]["counts"] == [
        [0, 0, 0, 2, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 4, 0],
    ]
    assert metrics["unanswered"] == {"count": 1, "total": 7}
    sure = math.exp(2) / (math.exp(2) + 3)
    assert metrics["calibration"]["ece"] == pytest.approx(abs(4 / 6 - sure), abs=1e-6)


def test_seconds_and_words(evaluation):
    scores, words = evaluation.metrics["scores"], evaluation.metrics["words"]
    # collar0: 7 scored utterances of 1.9 s; 2 confused, the last one missed
    assert scores["collar0"]["teer"]["total"] == pytest.approx(7 * 1.9)
    assert scores["collar0"]["teer"]["confusion"] == pytest.approx(2 * 1.9)
    assert scores["collar0"]["teer"]["missed"] == pytest.approx(1.9)
    assert scores["collar0"]["teer"]["false_alarm"] == 0
    assert scores["collar0"]["der"]["total"] == pytest.approx(8 * 1.9)
    assert scores["wu2023"]["teer"]["total"] == pytest.approx(7 * 1.4)
    assert scores["wu2023"]["teer"]["interval"]["low"] <= scores["wu2023"]["teer"]["rate"]
    assert set(scores) == {"wu2023", "collar0", "ser-align"}
    assert all(scores[name]["note"] for name in scores)
    # “are you” of the last utterance is lost: 2 of 20 words
    assert scores["wu2023"]["cpwer"]["errors"] == words["wer"]["errors"] == 2
    assert words["wer"]["length"] == words["tcpwer"]["length"] == 20
    assert (words["speaker_accuracy"]["correct"], words["speaker_accuracy"]["total"]) == (18, 18)
    assert evaluation.metrics["agreed"]["eera"]["confusion"] == pytest.approx(2 * 1.4)


def test_slices(evaluation):
    slices = evaluation.metrics["slices"]
    assert slices["sex"]["F"]["accuracy"] == {"correct": 1, "total": 3, "rate": 1 / 3}
    assert slices["sex"]["M"]["accuracy"] == {"correct": 3, "total": 4, "rate": 3 / 4}
    assert slices["style"]["improvised"]["accuracy"]["total"] == 4
    assert slices["style"]["scripted"]["accuracy"]["total"] == 3
    assert slices["length"]["short"]["accuracy"]["total"] == 7
    assert slices["fold"] == {"two": slices["length"]["short"]}
    # “loud” was heard badly; its last utterance, which nobody answered, is in neither part.
    assert slices["asr_confidence"]["high"]["accuracy"] == {"correct": 3, "total": 4, "rate": 3 / 4}
    assert slices["asr_confidence"]["low"]["accuracy"] == {"correct": 1, "total": 2, "rate": 1 / 2}


def test_production_is_evaluated_again_on_the_same_utterances(evaluation, model):
    champion, comparison = evaluation.metrics["champion"], evaluation.metrics["comparison"]
    assert champion["accuracy"]["correct"] == 2
    assert champion["accuracy"]["total"] == 7
    assert champion["model"] != evaluation.metrics["model"]
    assert comparison["accuracy"]["difference"] == pytest.approx(2 / 7)
    # All six answers; the seventh utterance neither answered.
    assert comparison["differing"] == 6
    # By `wu2023` 1.4 s of each: we confuse two of seven, production four; the other is missed.
    assert comparison["teer"]["difference"] == pytest.approx(-2 / 7)
    assert comparison["teer"]["upper_bound"] <= 0 < -comparison["teer"]["interval"]["low"]
    # The one turn whose emotion is none of the four differs, too.
    assert comparison["differing_turns"] == 7
    # 4 only we got right, 2 only production did
    assert comparison["mcnemar"] == {"p_value": pytest.approx(44 / 64), "utterances": 7}
    assert evaluation.verdict.passed
    assert len(evaluation.verdict.checks) == 5


def test_it_is_the_same_each_time(evaluation, model, recordings, turns, profile):
    again = evaluate(
        model("sad"), recordings, turns, profile, champion=model("angry"), synthetic=True
    )
    assert json.dumps(again.metrics) == json.dumps(evaluation.metrics)
    assert again.report() == evaluation.report()


def test_each_turn_is_heard_where_it_stands(model, recordings, turns):
    classify = Classifier(model(None))
    tested = recordings[1:]
    predicted = predict_turns(classify, tested, turns)
    expected = [
        classify([(read_audio(r.audio, t.start, t.end), t.words)])[0]
        for r in tested
        for t in turns[r.name]
    ]
    assert np.ptp(np.array(expected), axis=0).max() > 0.05
    for turn, row in zip(predicted, expected, strict=True):
        assert list(turn.probabilities.values()) == pytest.approx(row, abs=1e-4)
        assert turn.emotion == DEFAULT_LABELS[int(row.argmax())]
        assert turn.confidence == pytest.approx(row.max(), abs=1e-4)


def test_only_the_test_fold_is_read(model, recordings, turns, profile):
    # The recording of the other fold has neither sound nor turns.
    others = [r for r in recordings if r.fold == "two"]
    silent = [type(recordings[0])("gone", recordings[0].audio / "x", "one", None, ()), *others]
    kept = {r.name: turns[r.name] for r in others}
    assert evaluate(model("sad"), silent, kept, profile).metrics["recordings"] == 2


def test_a_share_of_the_recordings_is_tested_and_feedback_never_is(recordings, tmp_path, profile):
    protocol = ProtocolSettings(test_share=0.4, validation_fold="one")
    shared = profile.model_copy(update={"protocol": protocol})
    many = [replace(r, name=f"call-{n}", fold="all") for n in range(20) for r in recordings[:1]]
    back = [replace(r, name=f"{r.name}-again", fold=FEEDBACK) for r in many]
    for recording in many:
        write_turns(tmp_path / f"{recording.name}.json", [])
    tested = set(read_test_turns(tmp_path, many + back, shared))
    assert tested == {r.name for r in many if protocol.part(r.name, "all") == "test"}
    assert 0 < len(tested) < 20


def test_progress_counts_the_turns_of_both_models(model, recordings, turns, profile):
    seen = []
    evaluate(
        model("sad"), recordings, turns, profile, champion=model("angry"),
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(4, 14), (7, 14), (11, 14), (14, 14)]


def test_what_is_written_can_be_read(evaluation, tmp_path):
    evaluation.write(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"metrics.json", "verdict.json", "report.html", "predictions.json"}
    assert json.loads((tmp_path / "out/metrics.json").read_text()) == evaluation.metrics
    verdict = json.loads((tmp_path / "out/verdict.json").read_text())
    assert verdict["verdict"] == "pass"
    assert verdict["model"] == evaluation.metrics["model"]
    assert read_verdict(tmp_path / "out/verdict.json") == evaluation.verdict
    assert read_turns(tmp_path / "out/predictions.json") == evaluation.turns


def test_headline(evaluation):
    rates = headline(evaluation.metrics)
    assert rates["accuracy"] == pytest.approx(4 / 7)
    assert rates["word_speaker_accuracy"] == 1
    assert {"teer", "steer", "eder", "der", "cpwer", "wer", "macro_f1", "uar"} < set(rates)


def test_speech_that_nobody_found_is_all_wrong(model, recordings, profile):
    evaluation = evaluate(model("sad"), recordings, {"calm": [], "loud": []}, profile)
    assert evaluation.metrics["accuracy"]["rate"] == 0
    assert evaluation.metrics["scores"]["wu2023"]["teer"]["rate"] == 1
    assert evaluation.metrics["calibration"]["ece"] is None
    assert evaluation.metrics["words"]["speaker_accuracy"]["rate"] is None
    assert "word_speaker_accuracy" not in headline(evaluation.metrics)
    assert "Moodline evaluation" in evaluation.report()
