/** A conversation as it was answered, with what people corrected laid over it.
 *
 *  Events: `change` (detail: the turn's index, or -1 for all). */

import { settings, speakerName } from "./dom.js";

export class Conversation extends EventTarget {
  /** @param job as `/v1/jobs/{id}` answers it once it is done. */
  constructor(job) {
    super();
    const answer = this.answer = job.result;
    this.id = job.id;
    this.name = job.recording;
    this.requestId = answer.request_id;
    this.version = answer.model.version;
    // The version's labels, in its order, come with each answer: a later version may have others.
    this.labels = answer.model.labels ?? Object.keys(answer.turns.find((t) => t.probabilities)?.probabilities ?? {});
    this.turns = answer.turns.map((turn, index) => ({
      index, start: turn.start_time, end: turn.end_time, words: turn.words,
      emotion: turn.emotion, speaker: turn.speaker, confidence: turn.confidence ?? null,
      uncertain: turn.uncertain === true, sureOfSpeaker: turn.speaker_confidence ?? null,
      probabilities: turn.probabilities ?? {}, corrected: {}, confirmed: false,
    }));
    this.duration = Math.max(answer.duration, ...this.turns.map((turn) => turn.end), 0.001);
    assignWords(this.turns, answer.words ?? []);
  }

  /** Speakers in order, `unknown` last. */
  speakers() {
    const names = [...new Set(this.turns.map((turn) => this.speaker(turn)))].sort();
    return [...names.filter((name) => name !== "unknown"), ...names.filter((name) => name === "unknown")];
  }

  emotion(turn) { return turn.corrected.emotion ?? turn.emotion; }
  speaker(turn) { return turn.corrected.speaker ?? turn.speaker; }
  place(label) { return this.labels.indexOf(label); }

  doubtsLabel(turn) {
    return !turn.corrected.emotion && !turn.confirmed && turn.emotion != null &&
      (turn.uncertain || (turn.confidence ?? 1) < settings.doubtful.label);
  }
  doubtsSpeaker(turn) {
    return !turn.corrected.speaker && turn.sureOfSpeaker != null && turn.sureOfSpeaker < settings.doubtful.speaker;
  }
  doubtful(turn) { return this.doubtsLabel(turn) || this.doubtsSpeaker(turn); }

  /** Lay a correction over a turn; the answer's own value takes it away. */
  set(index, what, value) {
    this.lay(index, what, value);
    this.changed(index);
  }

  /** The same, without telling anybody: `changed` does, once for many. */
  lay(index, what, value) {
    const turn = this.turns[index];
    if (what === "emotion") turn.confirmed = value === turn.emotion;
    if (value == null || value === turn[what]) delete turn.corrected[what];
    else turn.corrected[what] = value;
  }

  changed(index = -1) { this.dispatchEvent(new CustomEvent("change", { detail: index })); }

  corrections() { return this.turns.filter((turn) => Object.keys(turn.corrected).length > 0); }

  /** The turns that sound at a time, by index. */
  at(time) {
    return this.turns.filter((turn) => turn.start <= time && time < turn.end).map((turn) => turn.index);
  }

  /** SegLST with the corrections in it. What a person said has no confidence. */
  toSegLst() {
    return this.answer.turns.map((answered, index) => {
      const { corrected } = this.turns[index], turn = { ...answered };
      if (corrected.emotion) {
        for (const name of ["confidence", "uncertain"]) delete turn[name];
        turn.emotion = corrected.emotion;
      }
      if (corrected.speaker) {
        delete turn.speaker_confidence;
        turn.speaker = corrected.speaker;
      }
      if (corrected.emotion || corrected.speaker)
        turn.answered = { emotion: answered.emotion, speaker: answered.speaker };
      return turn;
    });
  }

  title(turn) { return `${speakerName(this.speaker(turn))}, sounds ${this.emotion(turn) ?? "unlabelled"}`; }
}

/** Give each turn its words, with their times; none where they do not make up its text. */
function assignWords(turns, words) {
  const bySpeaker = Map.groupBy ? Map.groupBy(turns, (turn) => turn.speaker) : grouped(turns);
  const found = new Map(turns.map((turn) => [turn, []]));
  const next = new Map();
  for (const word of words) {
    const own = bySpeaker.get(word.speaker) ?? [];
    let number = next.get(word.speaker) ?? 0;
    while (number + 1 < own.length && word.start >= own[number + 1].start - 1e-6 && word.start > own[number].end - 1e-6) number += 1;
    next.set(word.speaker, number);
    if (own[number]) found.get(own[number]).push(word);
  }
  const bare = (text) => text.replace(/\s/g, "");
  for (const [turn, own] of found) {
    const fits = bare(own.map((word) => word.word).join("")) === bare(turn.words);
    turn.tokens = fits ? tokens(turn.words, own) : [];
  }
}

function grouped(turns) {
  const groups = new Map();
  for (const turn of turns) groups.set(turn.speaker, [...(groups.get(turn.speaker) ?? []), turn]);
  return groups;
}

/** Where each word stands in its turn's text. */
function tokens(text, words) {
  let at = 0;
  return words.map((word) => {
    const part = word.word.trim();
    const from = text.indexOf(part, at);
    at = from < 0 ? at : from + part.length;
    return { from, to: at, start: word.start ?? null, end: word.end ?? null, score: word.score ?? null };
  }).filter((token) => token.from >= 0);
}
