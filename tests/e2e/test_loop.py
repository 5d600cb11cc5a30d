"""The whole loop as a user meets it: `moodline demo` from nothing, then what the README shows.

Everything is real; only the corpus is cut to eight dialogues, so that it takes minutes.
The tests run in order: each goes on where the one before stopped.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components.conversation import (
    DEFAULT_LABELS,
    TRANSCRIPTS,
    TURNS,
    parse_turns,
    parse_words,
    read_documents,
    read_rttm,
    read_turns,
)
from tests.sides import sides

pytestmark = [pytest.mark.models, pytest.mark.servers, pytest.mark.timeout(1200)]

Run = Callable[[str], subprocess.CompletedProcess[str]]
Ask = Callable[[str], str]


def ok(run: Run, line: str) -> str:
    """The command's standard output; it must have done."""
    done = run(line)
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_demo_does_its_main_job(run: Run) -> None:
    printed = ok(run, "moodline demo --corpus corpus --profile small.yaml")
    assert "Registered as version 1 and is in production" in printed
    assert "POST /v1/analyze: 200" in printed
    assert "by moodline version 1 on Triton" in printed
    rate = re.search(r"diarization error rate (\d+\.\d)%", printed)
    assert rate is not None
    assert 0 < float(rate[1]) < 60
    assert re.search(r"cpWER \d+\.\d%", printed)


def test_the_registry_knows_what_is_in_production_and_why(run: Run, ask: Ask) -> None:
    (version,) = json.loads(ok(run, "moodline registry list --json"))
    assert version["number"] == 1
    assert "production" in version["aliases"]
    assert version["verdict"] == "pass"
    shown = json.loads(ask("registry show production --json"))
    assert len(shown["lineage"]["git_commit"]) >= 40
    assert shown["metrics"]["accuracy"] >= 0.3
    (entry,) = json.loads(ask("registry history --json"))
    assert (entry["action"], entry["to_version"], entry["reason"]) == (
        "promote",
        1,
        "moodline demo",
    )


def test_its_card_says_what_it_was_made_of_and_what_it_is_not_fit_for(workplace: Path) -> None:
    (path,) = (workplace / ".moodline" / "mlartifacts").rglob("evidence/model_card.md")
    card = " ".join(path.read_text(encoding="utf-8").split())
    assert re.search(r"the strictest first: Apache 2\.0 \(\d+ examples\)\. Sets: demo\. Lang", card)
    assert "this version is not fit to be used on them" in card
    assert "**Synthetic speech: these numbers say nothing about real people.**" in card
    for part in ("## Intended use", "## Not to be used", "## Numbers on the test fold"):
        assert card.count(f" {part} ") == 1


def test_every_file_between_the_steps_is_of_a_known_format(run: Run, workplace: Path) -> None:
    # The first of the runs: later ones find most of it done.
    folder = min((workplace / ".moodline" / "runs").iterdir())
    (transcripts,) = folder.rglob("transcripts")
    texts = read_documents(transcripts, TRANSCRIPTS)
    assert sum(len(s.words) for n, t in texts for s in parse_words(json.loads(t), n)) > 200
    (turns,) = folder.rglob("align/turns")
    documents = read_documents(turns, TURNS)
    assert all(turn.speaker for name, text in documents for turn in parse_turns(text, name))
    (predictions,) = folder.rglob("evaluate/predictions")
    answered = read_turns(predictions)
    assert {t.emotion for t in answered} <= set(DEFAULT_LABELS)
    assert all(t.session_id.startswith("Ses05") for t in answered)
    (report,) = folder.rglob("evaluate/report")
    assert "ynthetic" in report.read_text()
    for step, key in (("transcribe", "transcripts"), ("diarize", "speakers"), ("align", "turns")):
        (answer,) = folder.rglob(f"{step}/executor_output.json")
        (artifact,) = json.loads(answer.read_text())["artifacts"][key]["artifacts"]
        assert artifact["metadata"]["recordings"] == 8


def test_the_four_steps_by_hand_give_what_analyze_gives(
    run: Run, ask: Ask, workplace: Path, demo_corpus: Path
) -> None:
    """transcribe, diarize and align, then score against the reference."""
    audio = min((demo_corpus / "Session5" / "dialog" / "wav").glob("*.ogg"))
    shutil.copy(audio, workplace / "call.ogg")
    # Analysis takes the profile of the version in production; these have no version.
    by = "--profile small.yaml"
    ask(f"transcribe call.ogg -o words.json {by}")
    ask(f"diarize call.ogg -o call.rttm --num-speakers 2 --exclusive {by}")
    ok(run, "moodline align words.json call.rttm -o turns.json")
    by_hand = read_turns(workplace / "turns.json")
    assert len({t.speaker for t in by_hand}) == 2
    ok(run, "moodline analyze call.ogg --num-speakers 2 --format json -o analysis.json")
    analysed = read_turns(workplace / "analysis.json")
    assert [(t.start, t.end, t.speaker, t.words) for t in analysed] == [
        (t.start, t.end, t.speaker, t.words) for t in by_hand
    ]
    for turn in analysed:
        assert turn.probabilities is not None
        assert sum(turn.probabilities.values()) == pytest.approx(1, abs=1e-3)
        assert turn.emotion == max(turn.probabilities, key=turn.probabilities.__getitem__)
    scores = json.loads(ask("score analysis.json turns.json --json"))
    assert scores["der"]["rate"] == pytest.approx(0, abs=1e-6)
    assert scores["cpwer"]["errors"] == 0


def test_analyze_writes_every_format(ask: Ask, workplace: Path) -> None:
    printed = ask("analyze call.ogg --num-speakers 2 --format rttm")
    (workplace / "printed.rttm").write_text(printed)
    assert set(read_rttm(workplace / "printed.rttm")) == {"call"}
    ask("analyze call.ogg --num-speakers 2 --format html -o call.html")
    page = (workplace / "call.html").read_text()
    assert "<svg" in page
    assert "EU AI Act" in page


def test_speech_free_audio_has_no_turns(ask: Ask, workplace: Path) -> None:
    import numpy as np
    import soundfile

    noise = np.random.default_rng(0).normal(0, 0.01, (5 * 8_000, 2))
    soundfile.write(workplace / "noise.wav", noise, 8_000)
    soundfile.write(workplace / "one.wav", np.array([0.5]), 16_000)
    soundfile.write(workplace / "silence.wav", np.zeros(96_000), 96_000, subtype="FLOAT")
    turns = json.loads(ask("analyze noise.wav one.wav silence.wav --format json"))
    assert turns == []


def test_a_strict_gate_says_no_and_nothing_is_promoted(run: Run, ask: Ask) -> None:
    done = run("moodline retrain --corpus corpus --profile strict.yaml --promote")
    assert done.returncode == 1, done.stderr
    assert "accuracy" in done.stderr.strip().splitlines()[-1]
    (version,) = json.loads(ask("registry list --json"))
    assert version["number"] == 1


def test_the_same_again_does_nothing_again(run: Run, ask: Ask) -> None:
    """The same code, corpus and profile: the very same version, in production as it was."""
    again = json.loads(
        ok(run, "moodline retrain --corpus corpus --profile small.yaml --promote --json")
    )
    assert (again["version"], again["promoted"]) == (1, True)
    assert set(again["reused"]) >= {"transcribe", "diarize", "align", "label", "train", "evaluate"}
    (version,) = json.loads(ask("registry list --json"))
    assert version["number"] == 1
    assert len(json.loads(ask("registry history --json"))) == 1


def test_a_second_version_goes_into_production_and_back(run: Run, ask: Ask) -> None:
    ok(run, "moodline retrain --corpus corpus --profile other.yaml")
    versions = json.loads(ask("registry list --json"))
    first, second = sorted(versions, key=lambda v: v["number"])
    assert first["digest"] != second["digest"]
    assert "production" in first["aliases"]
    assert "candidate" in second["aliases"]
    ok(run, "moodline registry promote candidate --reason 'a second one' --actor ada")
    ok(run, "moodline registry rollback --reason 'it was fine before' --actor ada")
    actions = [e["action"] for e in json.loads(ask("registry history --json"))]
    assert actions == ["promote", "promote", "rollback"]
    shown = json.loads(ask("registry show production --json"))
    assert shown["number"] == 1


def test_a_folder_of_recordings_killed_and_gone_on_with(run: Run, workplace: Path) -> None:
    """`moodline batch` in two shards: killed while it names emotions, then to its end."""
    recordings = sorted((workplace / "corpus").glob("Session[12]/dialog/wav/*.ogg"))[:3]
    for path in recordings:
        (workplace / "calls" / path.parts[-4]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, workplace / "calls" / path.parts[-4])
    (workplace / "calls" / "empty.wav").touch()
    limits = "--min-speakers 2 --max-speakers 2"
    command = f"moodline batch calls -o turns {limits} --profile shards.yaml"
    began = """grep -ls '"step": "predict"' .moodline/runs/*/events.jsonl"""
    killed = run(
        f"{command} & until log=$({began}) || ! kill -0 $!; do sleep 0.05; done;"
        ' kill -KILL -- -$(pgrep -f "local_process $PWD/$(dirname $log)/request.json"); wait $!'
    )
    assert killed.returncode != 0
    assert "killed by SIGKILL" in killed.stderr
    assert not (workplace / "turns").exists()
    told = run(command)
    assert told.returncode == 1, told.stderr  # one was left out
    assert "left out: calls/empty.wav: the file is empty" in told.stderr
    assert told.stderr.endswith("moodline: 1 of 4 recordings could not be read\n")
    again = [line for line in told.stderr.splitlines() if "done before" in line]
    assert sum("transcribe" in line or "find the speakers" in line for line in again) == 4
    names = {f"{path.parts[-4]}--{path.stem}" for path in recordings}
    assert {path.stem for path in (workplace / "turns").iterdir()} == names
    for name in names:
        turns = read_turns(workplace / "turns" / f"{name}.json")
        assert turns and all(turn.emotion in DEFAULT_LABELS and turn.words for turn in turns)
        assert all(turn.session_id == name for turn in turns)
        assert len({turn.speaker for turn in turns}) == 2


def test_a_folder_whose_recordings_have_a_channel_for_each_speaker(
    run: Run, workplace: Path, demo_corpus: Path
) -> None:
    talk = sides(demo_corpus)
    (workplace / "sides").mkdir()
    (workplace / "sides" / "two.wav").write_bytes(talk.file())
    (workplace / "sides" / "one.wav").write_bytes(talk.file(talk.sound[:1]))
    told = run("moodline batch sides -o by-channel --channels")
    assert told.returncode == 1, told.stderr  # one was left out
    assert "left out: sides/one.wav: has one channel" in told.stderr
    (written,) = (workplace / "by-channel").iterdir()
    turns = read_turns(written)
    assert {turn.speaker for turn in turns} == {"CHANNEL_1", "CHANNEL_2"}
    assert all(turn.emotion in DEFAULT_LABELS for turn in turns)


def test_the_pipeline_compiles_for_a_cluster(run: Run, workplace: Path) -> None:
    ok(run, "moodline compile -o pipeline.yaml")
    text = (workplace / "pipeline.yaml").read_text()
    assert "exec-transcribe" in text
    assert str(workplace) not in text
