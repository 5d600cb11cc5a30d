"""Folders named as the published sets are, with sound of our own in them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.sounds import RATE, beeps, packed

SECONDS = 0.5


class Trees:
    """Builds each set's folder; all clips are one file, linked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clip = home / "clip.wav"
        noise = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * RATE))
        soundfile.write(self.clip, noise.astype(np.float32), RATE, subtype="PCM_16")
        self.film = home / "film.mp4"
        self.film.write_bytes(packed("mp4", [beeps(SECONDS)]))

    def add(self, folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.film if name.endswith(".mp4") else self.clip, folder / name)

    def ravdess(self) -> Path:
        folder = self.home / "ravdess"
        self.add(
            folder,
            "Actor_01/03-01-06-01-02-01-01.wav",
            "Actor_12/03-01-01-01-01-01-12.wav",
            "Actor_12/03-01-02-02-01-02-12.wav",
            "Actor_12/03-02-03-01-01-01-12.wav",  # a song
            "Video/Actor_12/01-01-01-01-01-01-12.mp4",  # the film of a clip that is there
            "Video/Actor_14/01-01-05-02-02-01-14.mp4",  # the film alone
            "Video/Actor_14/02-01-05-02-02-01-14.mp4",  # the film without its sound
            "Actor_12/._03-01-02-02-01-02-12.wav",
        )
        return folder

    def crema_d(self) -> Path:
        folder = self.home / "CREMA-D"
        names = ("1001_DFA_ANG_XX", "1002_IEO_HAP_HI", "1040_ITH_SAD_X")
        self.add(folder, *(f"AudioWAV/{name}.wav" for name in names))
        self.add(folder, "AudioMP3/1001_DFA_ANG_XX.mp3")
        table = (
            '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
        )
        table += '1002,21,"Female","Caucasian","Not Hispanic"\n'
        (folder / "VideoDemographics.csv").write_text(table)
        return folder

    def emo_db(self) -> Path:
        folder = self.home / "emodb"
        self.add(folder, "wav/03a01Fa.wav", "wav/08b10Lb.wav", "wav/16a07Ab.wav", "wav/15b02Wd.wav")
        return folder

    def tess(self) -> Path:
        folder = self.home / "TESS"
        self.add(
            folder,
            "OAF_angry/OAF_back_angry.wav",
            "OAF_neutral/OA_bite_neutral.wav",
            "YAF_pleasant_surprised/YAF_back_ps.wav",
            "again/OAF_angry/OAF_back_angry.wav",
        )
        return folder

    def savee(self) -> Path:
        folder = self.home / "SAVEE"
        self.add(folder, "AudioData/DC/a01.wav", "AudioData/KL/su15.wav", "flat/JE_n30.wav")
        return folder

    def esd(self) -> Path:
        folder = self.home / "ESD"
        self.add(
            folder,
            "0001/Neutral/train/0001_000051.wav",
            "0002/Angry/evaluation/0002_000351.wav",
            "0011/Happy/test/0011_000721.wav",
            "0018/Surprise/0018_001750.wav",
        )
        texts = {
            "0001": ("0001_000051\t打远一看，它们的确很是美丽，\t中立\r\n", "utf-16"),
            "0002": ("0002_000351\t他对谁都那么友善。\t生气\n", "gb18030"),
            "0011": ("0011_000721\tThe nine the eggs, I keep.\tHappy\n\n", "utf-8"),
        }
        for speaker, (text, encoding) in texts.items():
            (folder / speaker / f"{speaker}.txt").write_bytes(text.encode(encoding))
        return folder

    def meld(self) -> Path:
        folder = self.home / "MELD.Raw"
        self.add(
            folder,
            "train/train_splits/dia0_utt0.mp4",
            "train/train_splits/dia125_utt3.mp4",
            "dev_splits_complete/dia0_utt0.mp4",
            "output_repeated_splits_test/dia0_utt0.mp4",
            "output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
        )
        head = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode"
        rows = {
            "train/train": '1,"I was the point\x92s person",Chandler,neutral,neutral,0,0,8,21\n'
            "2,What?,The Interviewer,surprise,negative,125,3,8,21\n",
            "dev": '1,"Oh my God, he’s lost it.",Phoebe,sadness,negative,0,0,4,7\n'
            "2,Yeah!,Dr. Harad,joy,positive,110,7,4,7\n",
            "test": "1,Why do all you’re mugs have numbers?,Mark,surprise,positive,0,0,3,19\n",
        }
        for part, text in rows.items():
            (folder / f"{part}_sent_emo.csv").write_text(f"{head}\n{text}", encoding="utf-8")
        return folder

    def nemo(self) -> Path:
        folder = self.home / "nEMO"
        self.add(folder, "samples/EB0_anger_1.wav", "samples/WR0_surprised_64.wav")
        rows = (
            "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage",
            "EB0_anger_1.wav\tanger\tLubię czytać przed snem.\tlubię\t        EB0\tfemale\t27",
            'WR0_surprised_64.wav\tsurprised\t„Ród" smoka.\tród smoka\t        WR0\tmale\t23',
        )
        (folder / "data.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        return folder

    def msp_podcast(self) -> Path:
        folder = self.home / "MSP"
        names = [f"MSP-PODCAST_0001_000{n}" for n in range(1, 5)]
        self.add(folder, *(f"Audios/{name}.wav" for name in names))
        rows = (
            "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set",
            "MSP-PODCAST_0001_0001.wav,A,5.9,2.5,5.1,39,Male,Train",
            "MSP-PODCAST_0001_0002.wav,X,5.5,7.0,7.0,41,Female,Development",
            "MSP-PODCAST_0001_0003.wav,U,2.0,4.0,2.0,Unknown,Unknown,Test1",
            "MSP-PODCAST_0001_0004.wav,,,,,7,Male,Test3",
        )
        (folder / "Labels").mkdir()
        (folder / "Labels" / "labels_consensus.csv").write_text("\n".join(rows))
        (folder / "Transcripts").mkdir()
        (folder / "Transcripts" / f"{names[0]}.txt").write_text("I told you,\nnever again.\n")
        return folder

    def emobox(self) -> Path:
        folder = self.home / "EmoBox"
        wavs = {
            f"ravdess-03-01-0{emotion}-01-02-01-{actor}": (
                f"downloads/ravdess/Actor_{actor}/03-01-0{emotion}-01-02-01-{actor}.wav",
                {"5": "Angry", "6": "Fearful"}[emotion],
            )
            for emotion in "56"
            for actor in ("01", "04")
        }
        self.add(folder, *(wav for wav, _ in wavs.values()))
        self.emobox_set(folder, "ravdess", wavs, {"Angry": "Angry", "Fearful": "Fear"})
        return folder

    def emobox_set(
        self,
        folder: Path,
        name: str,
        wavs: dict[str, tuple[str, str]],
        words: dict[str, str],
        kinds: tuple[str, ...] = ("json", "jsonl"),
    ) -> None:
        """Two folds, by the speaker, whose name ends each key."""
        speakers = sorted({key.rpartition("-")[2] for key in wavs})
        home = folder / "data" / name
        for fold, speaker in enumerate(speakers, start=1):
            (home / f"fold_{fold}").mkdir(parents=True)
            for part in ("train", "test"):
                rows = {
                    key: {"wav": wav, "length": SECONDS, "emo": emo, "dataset": name, "channel": 1}
                    for key, (wav, emo) in wavs.items()
                    if (part == "test") == key.endswith(f"-{speaker}")
                }
                lines = "".join(json.dumps({"key": k, **row}) + "\n" for k, row in rows.items())
                stem = home / f"fold_{fold}" / f"{name}_{part}_fold_{fold}"
                if "json" in kinds:
                    stem.with_suffix(".json").write_text(json.dumps(rows, indent=4))
                if "jsonl" in kinds:
                    stem.with_suffix(".jsonl").write_text(lines)
        (home / "label_map.json").write_text(json.dumps(words))
        stm = (
            f"{k} 1 {k[-2:]} 0 {SECONDS} <id={k},lang=en,spk={k[-2:]},emotion={emo}> {emo}\n"
            for k, (_, emo) in wavs.items()
        )
        (home / "data.seg.wrd.stm").write_text("".join(stm))

    def build(self, name: str) -> Path:
        function: Callable[[], Path] = getattr(self, name.replace("-", "_"))
        return function()
