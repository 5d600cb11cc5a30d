"""What is done to a conversation: nouns (conversation, fusion, scoring, profile) and verbs (the rest)."""
