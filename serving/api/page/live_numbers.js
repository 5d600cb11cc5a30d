/** The service's own numbers, each with a line of the last minutes. */

import { $, draw, make, percent } from "./dom.js";

const KEPT = 60;  // looks
const lines = new Map();
let before = null;

/** @param now what `/v1/operations/live` answers. */
export function showLive(now) {
  const at = performance.now() / 1000;
  const passed = before ? at - before.at : 0;
  // A copy that was started anew counts from nothing again.
  const since = (name) => before && now[name] >= before.now[name] ? now[name] - before.now[name] : 0;
  const asked = since("requests"), failed = since("failed");
  const shares = Object.entries(now.emotions).sort((a, b) => b[1] - a[1]);
  const turns = shares.reduce((sum, [, each]) => sum + each, 0);
  const outcomes = (of) => Object.entries(of).map(([name, each]) => `${each} ${name}`).join(", ");
  const numbers = [
    ["Requests a minute", passed ? 60 * asked / passed : 0, (value) => value.toFixed(1), `${now.requests} in all`],
    ["Failed (5xx)", passed ? failed : 0, () => `${now.failed}`, now.requests ? percent(now.failed / now.requests) : ""],
    ["Seconds to an answer", asked ? since("seconds") / asked : 0, (value) => value.toFixed(2),
      now.requests ? `mean of all: ${(now.seconds / now.requests).toFixed(2)}` : ""],
    ["Recordings waiting or at work", now.waiting, (value) => `${value}`,
      now.oldest_job_seconds ? `the oldest job waits ${Math.round(now.oldest_job_seconds)} s` : ""],
    ["Minutes of sound", now.audio_seconds / 60, (value) => value.toFixed(1), ""],
    ["Mean confidence", now.mean_confidence ?? 0, (value) => now.mean_confidence == null ? "–" : percent(value),
      now.uncertain ? `${now.uncertain} turns uncertain` : ""],
    ["Turns", turns, (value) => `${value}`, shares.map(([label, each]) => `${label} ${percent(each / turns)}`).join(", ")],
    ["Seconds at the model", now.model_seconds.production ?? 0, (value) => value.toFixed(3),
      now.triton_failures ? `${now.triton_failures} calls failed` : ""],
  ];
  for (const [name, of] of [["Canary's requests", now.canary], ["Shadow's clips", now.shadow]])
    if (Object.keys(of).length)
      numbers.push([name, Object.values(of).reduce((a, b) => a + b, 0), (value) => `${value}`, outcomes(of)]);
  $("live").replaceChildren(...numbers.map(([name, value, words, more]) => tile(name, value, words(value), more)));
  before = { at, now };
}

function tile(name, value, words, more) {
  const line = [...(lines.get(name) ?? []), value].slice(-KEPT);
  lines.set(name, line);
  const low = Math.min(...line), range = Math.max(...line) - low || 1;
  const points = line.map((each, place) => `${place},${(26 - 24 * (each - low) / range).toFixed(1)}`);
  const picture = draw("svg", { viewBox: `0 0 ${Math.max(1, line.length - 1)} 28`, preserveAspectRatio: "none", "aria-hidden": "true" },
    draw("path", { d: `M${points.join("L")}` }));
  return make("li", {}, name, make("b", {}, words), make("small", {}, more), picture);
}
