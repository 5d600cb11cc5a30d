/** The turns of this key's answers that the model was least sure of: heard where sound is kept, and labelled. */

import { ask, askJson } from "./api.js";
import { $, clock, make, percent, say, speakerName } from "./dom.js";

const player = new Audio();
let address = "";

async function play(turn, failed) {
  try {
    const sound = await (await ask(`v1/operations/review/${turn.request_id}/${turn.turn}/sound`)).blob();
    URL.revokeObjectURL(address);
    player.src = address = URL.createObjectURL(sound);
    await player.play();
  } catch (error) { failed(error); }
}

async function label(turn, emotion, entry, failed) {
  try {
    await ask("v1/feedback", { json: { request_id: turn.request_id, turn: turn.turn, emotion } });
    const next = entry.nextElementSibling ?? entry.previousElementSibling;
    entry.remove();
    say(`Kept: ${emotion}.`);
    next ? next.querySelector("button").focus() : show([], failed);
  } catch (error) { failed(error); }
}

/** Ask for the queue and show it. */
export async function showReview(failed) {
  try {
    show(await askJson("v1/operations/review"), failed);
  } catch (error) {
    if (error.status !== 403) throw error;
    $("review").replaceChildren(make("p", { className: "hint" }, error.message));
  }
}

function show(turns, failed) {
  const told = turns.length ? `${turns.length} turns of your own answers, the least sure first. What you say goes to feedback.`
    : "Nothing to listen to: no answer of yours of the last 30 days is kept, or you looked at all.";
  const entries = turns.map((turn) => {
    const entry = make("li", {}), about = `turn ${turn.turn + 1} of ${turn.request_id.slice(0, 8)}`;
    const group = make("span", { className: "acts" });
    if (turn.has_sound) {
      const button = make("button", { type: "button", className: "quiet", onclick: () => play(turn, failed) }, "▶ Play");
      button.setAttribute("aria-label", `Play ${about}`);
      group.append(button);
    }
    for (const each of turn.labels) {
      const guessed = each === turn.emotion ? ` (${percent(turn.confidence)})` : "";
      const button = make("button", { type: "button", className: "quiet", onclick: () => label(turn, each, entry, failed) }, `${each}${guessed}`);
      button.setAttribute("aria-label", `${each}${guessed}: ${about}`);
      group.append(button);
    }
    const when = `${turn.time.slice(0, 10)} · ${clock(turn.start)}–${clock(turn.end)} · ${speakerName(turn.speaker)}`;
    entry.append(make("p", { className: "hint" }, turn.has_sound ? when : `${when} · its sound is not kept`),
      ...(turn.text ? [make("p", { className: "words" }, turn.text)] : []), group);
    return entry;
  });
  $("review").replaceChildren(make("p", { className: "hint" }, told), ...(entries.length ? [make("ol", { className: "queue" }, ...entries)] : []));
}
