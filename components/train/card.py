"""The model card: what a version is, what it was made from, what it must not be used for."""

from collections.abc import Mapping

from components.config import TrainStep
from components.conversation import NOT_FOR_SALE, strictness
from components.scoring import Temperature
from components.train.data import Split, count_emotions

_CARD = """\
# Moodline: emotion of a speaker turn

Who said what is given; this model says with which emotion: \
{{ emotions | join(", ") }}. It reads a turn's sound
(mono, 16 kHz) and its words, and answers with
a probability of each.

| | |
|---|---|
| speech encoder | {{ fusion.acoustic }}, {{ how }} |
| text encoder | {{ fusion.text }}, {{ how }} |
| fusion | gated cross-attention, attend: {{ fusion.attend }}; {{ fusion.layers }} layers, \
{{ fusion.heads }} heads |
| profile | {{ profile.name }} ({{ profile.digest() }}), seed {{ profile.seed }} |

## Intended use

To tell, of recorded conversations whose speakers know of it, which of these words a listener would
give to each turn: for searching and for counting over many conversations. Where a single answer
matters, a person listens to the turn.

## Data and protocol

| part | recordings | {% for e in emotions %}{{ e }} | {% endfor %}all |
|---|---|{% for e in emotions %}---|{% endfor %}---|
{% for part in parts -%}
| {{ part.name }} | {{ part.recordings }} | {% for n in part.counts %}{{ n }} | {% endfor %}\
{{ part.total }} |
{% endfor %}
The test part ({{ profile.protocol.test }}) was neither fitted nor looked at. The epoch was
chosen by {{ profile.train.metric_for_best_model | replace("_f1", " F1") }} on \
the validation part ({{ profile.protocol.validation }}).
{%- if profile.protocol.holdout %}
The holdout ({{ profile.protocol.holdout }}) was left out, too.
{%- endif %}

Licences of the sound that was fitted or chosen by, the strictest first: \
{% for name, count in origins.licences.items() %}{{ name }} ({{ count }} examples)\
{{ ", " if not loop.last }}{% endfor %}. Sets: {{ origins.sets | join(", ") }}. \
Languages: {{ origins.languages | join(", ") }}.
{%- if "unknown" in origins.licences %}
Where it is unknown, ask before this version goes to anybody else.
{%- elif not_for_sale %}
**Not for commercial use**: the strictest licence does not allow it.
{%- endif %}
{% if "demo" in origins.sets %}
The demo corpus is synthetic speech. It shows that the machinery works; it says nothing about how
well the emotions of people are told apart, and this version is not fit to be used on them.
{% endif %}
## Numbers

On the validation fold, at epoch {{ best_epoch }} of {{ epochs }}:
{% for name, value in validation.items() %}
- {{ name | replace("_", " ") }}: {{ "%.3f" | format(value) }}
{%- endfor %}

Temperature of its probabilities: {{ "%.2f" | format(temperature.value) }}, fitted on \
{{ temperature.turns }} turns of that fold (negative
log-likelihood {{ "%.3f" | format(temperature.loss_before) }} before, \
{{ "%.3f" | format(temperature.loss) }} after){{ ": " + temperature.note if temperature.note }}.
{%- if profile.uncertain_below %}
An answer less than {{ "%g" | format(100 * profile.uncertain_below) }} % sure is marked uncertain.
{%- endif %}

The test fold's numbers are those of the evaluation report (`metrics.json`, `report.html`) that is
registered with this version.

## Limits

- Emotion labels are other people's impressions of acted or spontaneous speech, not what a speaker
  felt. {{ emotions | length }} words do not cover what people feel.
- Other languages than those above, and other accents, ages, telephones and rooms than those of the
  corpus, will be answered too, and worse.
- Words come from automatic transcription; where it errs, the answer may. Turns longer than
  {{ fusion.max_seconds }} s are cut into windows and their answers averaged.

## Not to be used

- To infer emotions of people at work or in schools: prohibited in the European Union
  (Regulation (EU) 2024/1689, Article 5(1)(f)), but for medical or safety reasons.
- To decide about a person: hiring, credit, insurance, policing, benefits, care.
- On recordings whose speakers do not know of it. Where it is allowed, the same Regulation asks that
  they be told (Article 50(3)).
- With samples of voices, or stored voice prints, of people who did not agree to be recognised by
  their voice: these are biometric data (Regulation (EU) 2016/679, Article 9).
"""


def model_card(
    profile: TrainStep,
    split: Split,
    *,
    best_epoch: int,
    epochs: int,
    validation: Mapping[str, float],
    temperature: Temperature,
    origins: Mapping[str, Mapping[str, int]],
) -> str:
    """The card of a version as Markdown.

    Args:
        epochs: how many were fitted.
        validation: the best epoch's scores on the validation part.
        temperature: that calibrates its answers.
        origins: examples of each licence, set and language; see `Sound.origins`.
    """
    from jinja2 import Environment, StrictUndefined

    parts = [
        {
            "name": name,
            "recordings": len({row.recording for row in rows}),
            "counts": list(count_emotions(rows, split.labels).values()),
            "total": len(rows),
        }
        for name, rows in (("training", split.training), ("validation", split.validation))
    ]
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(_CARD)
    return template.render(
        profile=profile,
        fusion=profile.fusion,
        how="frozen" if profile.train.freeze_encoders else "fine-tuned",
        best_epoch=best_epoch,
        epochs=epochs,
        validation=validation,
        temperature=temperature,
        emotions=split.labels,
        origins=origins,
        not_for_sale=strictness(next(iter(origins["licences"]))) >= NOT_FOR_SALE,
        parts=parts,
    )
