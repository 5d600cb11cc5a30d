/** The turns that the model is least sure of, the least sure first. */

import { clock, coloured, count, make, percent, speakerName } from "./dom.js";

const MOST = 30;

/** @param actions {play(index), correct(index, label)}
 *  @returns elements that show what is left to review. */
export function reviewQueue(conversation, actions) {
  const left = conversation.turns
    .filter((turn) => turn.confidence != null && !turn.corrected.emotion && !turn.confirmed)
    .sort((a, b) => a.confidence - b.confidence);
  const told = make("p", { className: "hint" }, left.length
    ? `${count(left.length, "turn")} not looked at yet, the least sure first. Say what each sounds like; it goes to the service as feedback.`
    : "Every turn was looked at. Thank you.");
  return [told, make("ol", { className: "queue" }, ...left.slice(0, MOST).map((turn) => entry(conversation, turn, actions)))];
}

function entry(conversation, turn, actions) {
  const play = make("button", { type: "button", className: "time", onclick: () => actions.play(turn.index) }, `▶ ${clock(turn.start)}`);
  play.setAttribute("aria-label", `Play from ${clock(turn.start)}`);
  const labels = conversation.labels.map((label, place) => {
    const guessed = label === turn.emotion;
    const button = make("button", { type: "button", className: `quiet choice${guessed ? " guessed" : ""}`, onclick: () => actions.correct(turn.index, label) },
      coloured(make("i", { className: "dot" }), place), `${label} `, make("em", {}, percent(turn.probabilities[label] ?? 0)));
    button.setAttribute("aria-label", `${label}, ${percent(turn.probabilities[label] ?? 0)}${guessed ? ", the model's guess" : ""}`);
    return button;
  });
  const choices = make("div", { className: "choices" }, ...labels);
  choices.setAttribute("role", "group");
  choices.setAttribute("aria-label", `What turn ${turn.index + 1} sounds like`);
  return make("li", { data: { index: turn.index } }, play, make("span", { className: "who" }, speakerName(conversation.speaker(turn))),
    make("p", { className: "words", textContent: turn.words }), choices);
}
