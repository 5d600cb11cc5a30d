"""What the paper printed, and what is shaky about it.

H.-Y. Wang, P.-Y. Lee and B. Chen, “Enhancing Speech Emotion Recognition Leveraging Aligning
Timestamps of ASR Transcripts and Speaker Diarization”; W. Wu, C. Zhang and P. C. Woodland,
“Integrating emotion recognition with speech recognition and speaker diarization for
conversations”, Interspeech 2023. All in percent; None where nothing was printed.
"""

Row = tuple[float | None, float | None, float | None]

TABLE1: dict[str, Row] = {
    "wu": (49.49, None, None),
    "baseline": (56.82, 53.87, 47.10),
    "aligned": (66.81, 66.88, 66.48),
}
"""Accuracy, weighted F1, macro F1."""

TABLE2: dict[str, tuple[float, float]] = {
    "happy": (64.0, 73.0),
    "angry": (38.0, 64.0),
    "sad": (26.0, 67.0),
    "neutral": (61.0, 62.0),
}
"""F1 without and with alignment (printed as 0.64, …), in the paper's order."""

TABLE3: dict[str, tuple[float, float]] = {
    "wu": (66.03, 65.17),
    "aligned": (89.35, 90.96),
    "oracle": (53.90, 62.54),
}
"""TEER and sTEER of Wu et al., of the standard and of the VAD-oracle pipeline."""

TABLE4: dict[str, Row] = {
    "frozen": (56.82, 53.87, 47.10),
    "fine-tuned": (66.81, 66.81, 66.48),
}
"""Accuracy, weighted F1, macro F1, all with alignment."""

NOTES: dict[str, tuple[str, ...]] = {
    "table1": (
        "Paper: Tables I and IV print one and the same row (56.82 / 53.87 / 47.10) under two names,"
        " “without alignment” and “frozen embeddings, with alignment”; the results file in its"
        " published code calls it “without alignment but with fine-tuned”. It cannot be all three,"
        " so both strategies are run here with and without alignment.",
        "Paper: 66.88 is Table I's weighted F1; its text and Table IV say 66.81.",
        "Paper: by its published code the two rows were measured on different utterances, on 1,618"
        " and on 308 segments, and the epoch was chosen on the test session. Here all systems are"
        " scored on the same reference utterances, and the validation fold is never the test fold.",
        "Wu et al. tell six emotions apart, not four: their number stands beside, not against.",
    ),
    "table2": (
        "Paper: of 1,618 and of 308 segments (see Table I); printed as fractions, to two digits.",
    ),
    "table3": (
        "wu2023 and collar0 compare labels as they are; ser-align counts as the paper's published"
        " code does, which first maps labels in the best way, so that a classifier with all labels"
        " permuted would score 0, and drops other emotions from the reference only. It is the one"
        " that the paper's numbers were counted by, and is here only to stand beside them.",
        "Paper: its code reads one channel of IEMOCAP's stereo dialogues, which is one actor's"
        " side; ours reads the mean of both.",
        "Wu et al. score six emotions, by what is here called wu2023 but for their mapping of"
        " speakers, in which two may share one.",
        "Paper: Wu et al.'s sTEER is printed below their TEER. sTEER counts all that TEER counts,"
        " and wrong speakers, so it cannot be; perhaps the two changed places.",
    ),
    "table4": (
        "Paper: its row “frozen” is Table I's “without alignment”, number by number, and its"
        " weighted F1 of the other row is 66.81 where Table I has 66.88.",
    ),
}
