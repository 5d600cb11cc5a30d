"""Voice prints that somebody asked to keep, each of a person who agreed to it.

They are biometric data (GDPR, Article 9): kept only where the operator allows it and a request asks
for it, per API key, until they are erased or expire. They have a database of their own beside that
of the jobs, which no backup holds. Nothing here logs a name.
"""

from serving.voices.store import SCHEMA, KeptVoice, VoicePrint, VoiceStore
