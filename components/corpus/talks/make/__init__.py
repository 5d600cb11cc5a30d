"""Makes the conversations: a plan, texts, sound. Nothing else in Moodline needs it."""
