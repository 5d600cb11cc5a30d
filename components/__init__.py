"""What is done to a conversation.

Nouns: conversation, fusion, scoring, profile. Verbs, which are a pipeline's steps: the rest.
"""
