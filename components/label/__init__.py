"""Turns take the emotion of the reference utterances they cover, and become labelled examples."""

from components.label.label import COLUMNS, Example, label, label_corpus
