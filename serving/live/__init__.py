"""Calls that are listened to while they go on.

sound ─ endpoints ─ stretch ─ words, speakers, turns ─ emotions ─ events
                              (as of a recording)
"""

from serving.live.call import Call, Event
from serving.live.calls import Calls
from serving.live.naming import same_speakers
