"""Turns as one HTML page: a time line to see, and the words to read."""

from collections.abc import Sequence

from components.conversation import EMOTIONS, Turn
from components.reporting.page import COLOURS, NOTICE

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Moodline</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font-size: 11px; }
table { border-collapse: collapse; width: 100%; } td { padding: .3rem .6rem; vertical-align: top; }
tr + tr td { border-top: 1px solid #8884; } .time { font-variant-numeric: tabular-nums; }
.mood { border-radius: 1rem; padding: .05rem .6rem; color: #fff; white-space: nowrap; }
.notice { font-size: .85rem; opacity: .75; }
{% for emotion, colour in colours.items() %}.{{ emotion }} { background: {{ colour }}; }
{% endfor %}</style></head><body>
{% for recording in recordings %}<h1>{{ recording.name }}</h1>
<svg viewBox="0 0 1000 {{ recording.rows | length * 34 + 24 }}" role="img"
 aria-label="who spoke when, with which emotion">
{% for row in recording.rows %}<text x="0" y="{{ loop.index0 * 34 + 20 }}">{{ row.speaker }}</text>
{% set top = loop.index0 * 34 + 4 %}{% for turn in row.turns -%}
<rect x="{{ x(turn.start, recording.end) }}" y="{{ top }}" rx="3" height="24"
 width="{{ width(turn, recording.end) }}" fill="{{ colours.get(turn.emotion, '#bbb') }}">
<title>{{ '%.2f–%.2f s' | format(turn.start, turn.end) }} {{ turn.emotion or '' }}: \
{{ turn.words }}</title></rect>
{% endfor %}{% endfor %}
<text x="100" y="{{ recording.rows | length * 34 + 16 }}">0 s</text>
<text x="1000" text-anchor="end" y="{{ recording.rows | length * 34 + 16 }}">\
{{ '%.1f s' | format(recording.end) }}</text></svg>
<table>{% for turn in recording.turns %}
<tr><td class="time">{{ '%.2f' | format(turn.start) }}–{{ '%.2f' | format(turn.end) }}</td>
<td>{{ turn.speaker }}</td><td>{% if turn.emotion %}<span class="mood {{ turn.emotion }}">\
{{ turn.emotion }}{% if turn.confidence is not none %} \
{{ '%.0f' | format(turn.confidence * 100) }} %{% endif %}</span>{% endif %}</td>
<td>{{ turn.words }}</td></tr>
{% else %}<tr><td>Nobody speaks.</td></tr>{% endfor %}</table>
{% else %}<p>Nobody speaks.</p>{% endfor %}
<p class="notice">{{ notice }}</p></body></html>
"""


def turns_page(turns: Sequence[Turn]) -> str:
    """Turns of one recording or more as a self-contained HTML page.

    Each speaker is a row, each turn a bar in the colour of its emotion.
    """
    from jinja2 import Environment

    recordings = []
    for name in dict.fromkeys(turn.session_id for turn in turns):
        own = [turn for turn in turns if turn.session_id == name]
        speakers = sorted({turn.speaker for turn in own})
        recordings.append(
            {
                "name": name,
                "turns": own,
                "end": max(turn.end for turn in own) or 1.0,
                "rows": [
                    {"speaker": speaker, "turns": [t for t in own if t.speaker == speaker]}
                    for speaker in speakers
                ],
            }
        )
    template = Environment(autoescape=True).from_string(_PAGE)
    return template.render(
        recordings=recordings,
        colours={emotion: COLOURS[emotion] for emotion in EMOTIONS},
        notice=NOTICE,
        x=lambda time, end: round(100 + 900 * time / end, 2),
        width=lambda turn, end: round(max(900 * turn.duration / end, 1.0), 2),
    )
