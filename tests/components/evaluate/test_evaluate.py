"""The whole evaluation on real, tiny models whose answers are known."""

import html
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from components.base import InputError
from components.config import GateSettings, ProtocolSettings
from components.conversation import (
    EMOTIONS,
    FEEDBACK,
    TURNS,
    Document,
    Turn,
    read_audio,
    read_manifest,
    read_turns,
    turns_text,
    write_documents,
    write_manifest,
    write_turns,
)
from components.evaluate import (
    check_gate,
    evaluate,
    gate_power,
    headline,
    held_out_recordings,
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


def test_a_worse_model_does_not_pass(model, recordings, turns, profile):
    # None of seven right: a model that is right three times in ten may be so; one in two is not.
    gate = profile.gate.model_copy(update={"min_accuracy": 0.5})
    strict = profile.model_copy(update={"gate": gate})
    evaluation = evaluate(model("happy"), recordings, turns, strict, champion=model("sad"))
    assert evaluation.verdict.decision == "fail"
    assert [check.result for check in evaluation.verdict.checks] == ["fail"] * 5
    assert evaluation.metrics["accuracy"]["correct"] == 0
    assert "accuracy is 0.0000, and must be at least 0.5000" in evaluation.verdict.reasons


def test_production_is_not_the_model_itself(model, recordings, turns, profile):
    """The same two models, in both roles: one is better, and only one passes."""
    rates, errors = [], []
    for challenger, champion in (("sad", "happy"), ("happy", "sad"), ("sad", "sad")):
        evaluation = evaluate(
            model(challenger), recordings, turns, profile, champion=model(champion)
        )
        checks = {c.name: c for c in evaluation.verdict.checks}
        rates.append(checks["no_regression.accuracy"])
        errors.append(checks["no_regression.teer"])
    for better, worse, same in (rates, errors):
        assert (better.result, worse.result, same.result) == ("pass", "fail", "pass")
        assert (same.value, "as production answers it" in same.says) == (0, True)
    assert rates[0].value > 0 > rates[1].value
    assert errors[0].value < 0 < errors[1].value


def test_the_gate_is_asked_all_that_it_can_be_asked(model, recordings, turns, profile, tmp_path):
    """Slices, behaviour, latency and size, measured on a real model and its graph."""
    from components.fusion.export import export_onnx
    from components.fusion.model import load_model

    folder = shutil.copytree(model(None), tmp_path / "model")
    export_onnx(load_model(folder), folder / "model.onnx")
    asked = profile.gate.model_dump() | {
        "min_f1": 0.0,
        "max_teer": 5.0,
        "slices": {"sex": {"min_accuracy": 0.0, "min_utterances": 3}},
        "behaviour": {"silence": 0.0, "case": 0.0, "filler": 0.0},
        "latency": {"max_p95_ms": 1e6, "max_times_production": 1e3},
        "max_megabytes": 0.001,
    }
    asking = profile.model_validate(profile.model_dump() | {"gate": asked})
    evaluation = evaluate(folder, recordings, turns, asking, champion=model("sad"))
    results = {check.name: check for check in evaluation.verdict.checks}
    measured = evaluation.metrics["behaviour"]
    assert {part["total"] for part in measured.values()} == {7}
    for name, part in measured.items():
        check = results[f"behaviour.{name}"]
        assert (check.value, check.result) == (part["kept"] / 7, "pass")
    assert evaluation.metrics["served"]["latency"]["turns"] == 7
    assert evaluation.metrics["served"]["latency"]["times_production"] > 0
    served = sum((folder / name).stat().st_size for name in ("model.onnx", "tokenizer.json"))
    assert results["max_megabytes"].value == served / 1e6
    assert results["max_megabytes"].result == "fail"
    assert {"slices.sex.F", "slices.sex.M", "min_f1.sad", "max_teer"} < set(results)
    page = evaluation.report()
    assert "behaviour.case" in page
    assert "Refused." in page


def test_without_production_nothing_is_compared(model, recordings, turns, profile):
    evaluation = evaluate(model("sad"), recordings, turns, profile)
    assert evaluation.metrics["champion"] is None
    assert evaluation.metrics["comparison"] is None
    assert [check.name for check in evaluation.verdict.checks] == ["min_accuracy", "min_macro_f1"]
    assert "nothing in production yet" in evaluation.report()


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
        assert turn.emotion == EMOTIONS[int(row.argmax())]
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
    assert {"teer", "steer", "der", "cpwer", "wer", "macro_f1", "uar"} < set(rates)


def test_speech_that_nobody_found_is_all_wrong(model, recordings, profile):
    evaluation = evaluate(model("sad"), recordings, {"calm": [], "loud": []}, profile)
    assert evaluation.metrics["accuracy"]["rate"] == 0
    assert evaluation.metrics["scores"]["wu2023"]["teer"]["rate"] == 1
    assert evaluation.metrics["calibration"]["ece"] is None
    assert evaluation.metrics["words"]["speaker_accuracy"]["rate"] is None
    assert "word_speaker_accuracy" not in headline(evaluation.metrics)
    assert "Moodline evaluation" in evaluation.report()


def test_bad_input(model, recordings, turns, profile, tmp_path):
    protocol = profile.protocol.model_copy(update={"test_fold": "nine"})
    elsewhere = profile.model_copy(update={"protocol": protocol})
    with pytest.raises(InputError, match=r"test part \(nine\) has no labelled .* folds one, two"):
        evaluate(model("sad"), recordings, turns, elsewhere)
    with pytest.raises(InputError, match="recording loud of the test fold has no turns"):
        evaluate(model("sad"), recordings, {"calm": turns["calm"]}, profile)
    with pytest.raises(InputError, match="holds no model"):
        evaluate(tmp_path, recordings, turns, profile)


def test_turns_are_read_from_a_folder(recordings, turns, profile, tmp_path):
    for name in ("calm", "loud"):
        write_turns(tmp_path / f"{name}.json", turns[name])
    read = read_test_turns(tmp_path, recordings, profile)
    assert read == {name: turns[name] for name in ("calm", "loud")}
    write_turns(tmp_path / "loud.json", [Turn("noise", 0, 1, "S0", "")])
    with pytest.raises(InputError, match=r"loud.json: holds a turn of recording noise"):
        read_test_turns(tmp_path, recordings, profile)
    (tmp_path / "loud.json").unlink()
    with pytest.raises(InputError, match=r"loud.json: no such file"):
        read_test_turns(tmp_path, recordings, profile)


@pytest.mark.parametrize(("answer", "decision"), [("sad", "pass"), ("happy", "fail")])
def test_the_component(answer, decision, model, recordings, turns, profile, tmp_path):
    from kfp import dsl

    from components.evaluate.component import evaluate as component

    write_manifest(tmp_path / "corpus", recordings)
    write_documents(
        tmp_path / "turns", [Document(r.name, TURNS, turns_text(turns[r.name])) for r in recordings]
    )
    (tmp_path / "nothing").mkdir()
    champion = model("sad") if answer == "happy" else tmp_path / "nothing"
    outputs = {
        "metrics": dsl.Metrics(uri=str(tmp_path / "metrics")),
        "report": dsl.HTML(uri=str(tmp_path / "report")),
        "confusion": dsl.ClassificationMetrics(uri=str(tmp_path / "confusion")),
        "verdict": dsl.Artifact(uri=str(tmp_path / "verdict")),
        "predictions": dsl.Dataset(uri=str(tmp_path / "predictions")),
    }
    returned = component.python_func(
        model=dsl.Model(uri=str(model(answer))),
        champion=dsl.Model(uri=str(champion)),
        corpus=dsl.Dataset(uri=str(tmp_path / "corpus"), metadata={"synthetic": True}),
        turns=dsl.Dataset(uri=str(tmp_path / "turns")),
        profile=profile.model_dump_json(),
        **outputs,
    )
    assert returned == decision
    metrics = json.loads((tmp_path / "metrics").read_text())
    verdict = json.loads((tmp_path / "verdict").read_text())
    assert verdict["verdict"] == outputs["verdict"].metadata["verdict"] == decision
    if answer == "sad":
        assert metrics["champion"] is None
        assert len(verdict["checks"]) == 2
        assert outputs["metrics"].metadata["accuracy"] == pytest.approx(4 / 7)
        rows = outputs["confusion"].metadata["confusionMatrix"]["rows"]
        assert [row["row"] for row in rows] == [*metrics["confusion"]["counts"], [0] * 5]
    else:
        assert metrics["champion"]["accuracy"]["correct"] == 4
        assert len(verdict["checks"]) == 5
    assert "Synthetic speech" in (tmp_path / "report").read_text()
    assert len(read_turns(tmp_path / "predictions")) == 7


def of_customers(recordings):
    """The test fold of two customers, and one of whom nothing is known."""
    columns = {"calm": (("customer", "acme"), ("vip", "true")), "loud": (("customer", "zenith"),)}
    return [replace(r, columns=columns.get(r.name, ())) for r in recordings]


def test_the_test_set_is_cut_by_a_column_of_the_manifest(
    model, recordings, turns, profile, tmp_path
):
    rows = [
        {"recording": r.name, "audio": str(r.audio), "reference": f"{r.name}.json",
         "fold": r.fold, **dict(r.columns)}
        for r in of_customers(recordings)
    ]  # fmt: skip
    rows[0] |= {"vip": True, "seats": 12, "note": None, "tags": ["a"]}
    for recording in recordings:
        write_manifest(tmp_path / recording.name, [recording])
        reference = (tmp_path / recording.name / "reference" / f"{recording.name}.json").read_text()
        (tmp_path / f"{recording.name}.json").write_text(reference)
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    read = read_manifest(tmp_path)
    assert read[0].columns == (("vip", "true"), ("seats", "12"))
    write_manifest(tmp_path / "again", read)
    assert [r.columns for r in read_manifest(tmp_path / "again")] == [r.columns for r in read]

    asked = {"min_accuracy": 0.6, "min_utterances": 3}
    gate = profile.gate.model_dump() | {"slices": {"columns": {"customer": asked}}}
    asking = profile.model_validate(profile.model_dump() | {"gate": gate})
    evaluation = evaluate(model("sad"), read, turns, asking, champion=model("angry"))
    parts = evaluation.metrics["slices"]["columns.customer"]
    assert {name: part["accuracy"]["correct"] for name, part in parts.items()} == {
        "acme": 3, "zenith": 1,
    }  # fmt: skip
    checks = {c.name: c.result for c in evaluation.verdict.checks if "slices" in c.name}
    assert checks == {
        "slices.columns.customer.acme": "pass",
        "slices.columns.customer.zenith": "inconclusive",
    }
    assert "customer: acme" in evaluation.report()


def test_a_column_that_is_not_there_or_has_too_many_values(model, recordings, turns, profile):
    def asking(name):
        gate = profile.gate.model_dump() | {"slices": {"columns": {name: {"min_accuracy": 0.5}}}}
        return profile.model_validate(profile.model_dump() | {"gate": gate})

    there = (
        r"slices.columns.custmer: the corpus' manifest has no such column \(there: customer, vip"
    )
    with pytest.raises(InputError, match=there):
        evaluate(model("sad"), of_customers(recordings), turns, asking("custmer"))
    many = [
        replace(r, name=f"{r.name}-{n}", columns=(("call", str(n)),))
        for n in range(101)
        for r in recordings[1:2]
    ]
    with pytest.raises(InputError, match=r"slices.columns.call: has 101 values; name a column"):
        check_gate(many, asking("call").gate)


def test_the_power_is_told_before_and_kept(evaluation, recordings, profile, tmp_path):
    tested = held_out_recordings(recordings, profile)
    expected = gate_power(tested, profile.gate)
    assert (expected.conversations, expected.utterances, expected.rate) == (2, 7, "accuracy")
    assert evaluation.verdict.power == expected
    assert str(expected) in html.unescape(evaluation.report())
    assert "Little power." in evaluation.report()
    evaluation.write(tmp_path)
    assert read_verdict(tmp_path / "verdict.json").power == expected
    by = {
        name: gate_power(tested, GateSettings(min_accuracy=0.1, no_regression={name: 0.1})).passes
        for name in ("accuracy", "uar", "teer")
    }
    assert by == dict.fromkeys(by, 0.0), "20 conversations are asked for"
    # Where an emotion is rare, its utterances move a mean over emotions most.
    powers = {
        name: gate_power(
            tested,
            GateSettings(min_accuracy=0.1, no_regression={name: 0.3, "min_conversations": 2}),
        ).passes
        for name in ("accuracy", "uar", "teer")
    }
    assert powers["uar"] < powers["accuracy"] == pytest.approx(powers["teer"])
    assert gate_power(tested, GateSettings(min_accuracy=0.1)) is None


def test_the_holdout_is_seen_by_no_gate(model, recordings, turns, profile, tmp_path):
    protocol = ProtocolSettings(test_fold="two", validation_fold="one", holdout_fold="three")
    held = profile.model_copy(update={"protocol": protocol})
    later = [replace(r, fold="three") if r.name == "loud" else r for r in recordings]
    tested = evaluate(model("sad"), later, turns, held)
    assert (tested.metrics["recordings"], tested.metrics["part"]) == (1, "test")
    kept = evaluate(model("sad"), later, turns, held, part="holdout", champion=model("angry"))
    assert (kept.metrics["utterances"], kept.metrics["test_fold"]) == (3, "three")
    assert kept.metrics["comparison"]["accuracy"]["difference"] == 0
    assert kept.verdict is None
    kept.write(tmp_path / "out")
    assert not (tmp_path / "out" / "verdict.json").exists()
    assert "no gate reads it" in kept.report()
    with pytest.raises(InputError, match="sets no holdout aside"):
        evaluate(model("sad"), later, turns, profile, part="holdout")
