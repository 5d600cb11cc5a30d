"""The step of the pipeline, and what it refuses."""

import json

import pytest

from components.base import InputError
from components.conversation import (
    TURNS,
    Document,
    Turn,
    read_turns,
    turns_text,
    write_documents,
    write_manifest,
    write_turns,
)
from components.evaluate import (
    evaluate,
    read_test_turns,
)


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
