/** The parts of a turn, as every list of turns shows them; what is doubtful is marked. */

import { coloured, make, percent, settings, speakerName } from "./dom.js";

export function showSpeaker(place, conversation, turn) {
  place.textContent = speakerName(conversation.speaker(turn)) + (conversation.doubtsSpeaker(turn) ? "?" : "");
  place.title = turn.sureOfSpeaker == null || turn.corrected.speaker ? "" : `${percent(turn.sureOfSpeaker)} sure of the speaker`;
}

/** The label, its colour beside it. @returns the same in words. */
export function showLabel(place, conversation, turn) {
  const emotion = conversation.emotion(turn) ?? "—", doubt = conversation.doubtsLabel(turn) ? "?" : "";
  const sure = turn.corrected.emotion ? "corrected" : turn.confirmed ? "confirmed" : turn.confidence == null ? "" : percent(turn.confidence);
  place.replaceChildren(make("i", { className: "dot" }), `${emotion}${doubt} `, make("em", {}, sure));
  coloured(place, conversation.place(emotion));
  coloured(place.firstChild, conversation.place(emotion));
  place.title = Object.entries(turn.probabilities).map(([each, share]) => `${each} ${percent(share)}`).join(", ");
  return `${emotion}${doubt} ${sure}`;
}

/** The text; with `all`, each word is an element of its own, not only a doubtful one. */
export function showWords(place, turn, all = false) {
  const parts = [];
  let at = 0;
  for (const token of turn.tokens) {
    const doubtful = token.score != null && token.score < settings.doubtful.word;
    if (!all && !doubtful) continue;
    parts.push(turn.words.slice(at, token.from));
    const word = make("span", { className: doubtful ? "doubt" : "", textContent: turn.words.slice(token.from, token.to) });
    if (doubtful) word.title = `${percent(token.score)} sure of this word`;
    token.element = word;
    parts.push(word);
    at = token.to;
  }
  place.replaceChildren(...parts, turn.words.slice(at));
}
