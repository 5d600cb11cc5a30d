"""Makes the demo corpus: a plan, texts, voices, sound. Nothing else in Moodline needs it."""
