/** What would go to the emotion model without alignment, and with it (Figure 3 of the paper).
 *
 *  Without: each segment of the recogniser, whole, to the speaker who overlaps it most. */

import { clock, count, make, speakerName } from "./dom.js";

/** @param play called with a turn's index.
 *  @returns elements that show both, in step. */
export function comparison(conversation, play) {
  const whole = conversation.answer.unaligned;
  if (!whole) return [make("p", { className: "hint" }, "Each channel is a speaker here: there is nothing to align.")];
  const segments = whole.map((turn) => ({ start: turn.start_time, end: turn.end_time, speaker: turn.speaker, words: turn.words }));
  const answered = conversation.answer.turns.map((turn, index) => ({ index, start: turn.start_time, end: turn.end_time, speaker: turn.speaker, words: turn.words }));
  const others = segments.map((segment) => othersIn(segment, conversation.answer.words ?? []));
  const mixed = others.filter((each) => each.length);
  const moved = mixed.flat().reduce((sum, [, words]) => sum + words, 0);
  return [
    make("p", {}, `${count(segments.length, "segment")} without alignment, ${count(answered.length, "turn")} with it. `
      + (mixed.length ? `In ${count(mixed.length, "segment")} another speaker's words are mixed in: ${count(moved, "word")} in all.` : "No segment mixes speakers.")),
    make("div", { className: "compare" },
      column("Without alignment", segments.map((segment, number) => item(segment, { others: others[number] }))),
      column("With alignment", answered.map((turn) => item(turn, { play: () => play(turn.index) })))),
  ];
}

/** Speakers of a segment's words other than its own, each with how many words. */
function othersIn(segment, words) {
  const counts = new Map();
  for (const word of words) {
    const middle = (word.start + word.end) / 2;
    if (middle < segment.start || middle > segment.end || word.speaker === segment.speaker) continue;
    if (!segment.words.includes(word.word.trim())) continue;
    counts.set(word.speaker, (counts.get(word.speaker) ?? 0) + 1);
  }
  return [...counts];
}

function column(title, items) {
  const list = make("ol", {}, ...items);
  list.setAttribute("aria-label", title);
  return make("section", {}, make("h3", {}, title), list);
}

function item(turn, { others = [], play = null }) {
  const time = play ? make("button", { type: "button", className: "time", onclick: play }, clock(turn.start)) : make("span", { className: "time" }, clock(turn.start));
  if (play) time.setAttribute("aria-label", `Play from ${clock(turn.start)}`);
  const entry = make("li", {}, time, make("span", { className: "who" }, speakerName(turn.speaker)), make("p", { className: "words", textContent: turn.words }));
  if (others.length) {
    entry.classList.add("mixed");
    entry.append(make("p", { className: "hint" }, `also ${others.map(([name, words]) => `${speakerName(name)}: ${count(words, "word")}`).join(", ")}`));
  }
  return entry;
}
