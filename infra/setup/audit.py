"""Asks a database of known vulnerabilities about everything that the locks install: `make audit`.

A database that is away, or that answers "nothing known" whatever it is asked, must not look like a
good answer. So it is also asked about a release whose vulnerabilities everybody knows.

usage: audit.py [pip-audit's options that choose the database, as -s osv]
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [ROOT / "requirements.lock", *sorted((ROOT / "infra" / "locks").glob("*.lock"))]
CANARY = "jinja2", "2.4.1"
"""CVE-2014-1402 and later ones."""


def pins(lock: Path) -> list[str]:
    """The releases that a lock installs, as `name==version`."""
    return re.findall(r"^([\w.-]+==[^\s\\;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)


def rounds() -> Iterator[list[str]]:
    """All releases, and the known bad one. pip-audit takes one release of a package at a time."""
    left = sorted({release for lock in LOCKS for release in pins(lock)} | {"==".join(CANARY)})
    while left:
        chosen = {release.partition("==")[0].lower(): release for release in left}
        yield list(chosen.values())
        left = [release for release in left if release not in chosen.values()]


def ask(releases: list[str], options: list[str]) -> tuple[list[dict[str, Any]], str]:
    """What the database knows of each release; and what pip-audit said last."""
    with tempfile.TemporaryDirectory() as name:
        asked, answer = Path(name, "asked.txt"), Path(name, "answer.json")
        asked.write_text("\n".join(releases), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", *options]
        command += ["--format", "json", "--output", answer, "--cache-dir", Path(name, "cache")]
        command += ["--progress-spinner", "off", "-r", asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        if not answer.is_file():
            return [], said
        return json.loads(answer.read_text(encoding="utf-8"))["dependencies"], said


def main() -> int:
    """Print what is known; 0 if every release was asked about and nothing is known."""
    answers: list[dict[str, Any]] = []
    for releases in rounds():
        answered, said = ask(releases, sys.argv[1:])
        if not answered:
            break
        answers += answered
    skipped = [answer for answer in answers if "skip_reason" in answer]
    known = [answer for answer in answers if answer.get("vulns")]
    canary = [a for a in known if (a["name"], a["version"]) == CANARY]
    if not canary or not answered:
        why = skipped[0]["skip_reason"] if skipped else said
        print(f"not audited: no database of vulnerabilities can be had ({why})")
        return 1
    found = [answer for answer in known if answer not in canary]
    for answer in found:
        for fault in answer["vulns"]:
            mended = ", ".join(fault["fix_versions"]) or "no release"
            print(f"{answer['name']} {answer['version']}: {fault['id']}, mended in {mended}")
    for answer in skipped:
        print(f"not audited: {answer['name']} ({answer['skip_reason']})")
    asked = len(answers) - len(canary)
    print(f"{asked} releases, {len(found)} with known vulnerabilities, {len(skipped)} not audited")
    return 1 if found or skipped else 0


if __name__ == "__main__":
    sys.exit(main())
