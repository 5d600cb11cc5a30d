"""The test set is cut by any column of the manifest."""

import json
from dataclasses import replace

import pytest

from components.base import InputError
from components.conversation import (
    read_manifest,
    write_manifest,
)
from components.evaluate import (
    check_gate,
    evaluate,
)


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
