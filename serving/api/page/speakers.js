/** By speaker: talking time, the share of each label, and its course over time. */

import { clock, coloured, draw, make, percent, settings, speakerName } from "./dom.js";

const BINS = 24, WIDTH = 480, HEIGHT = 40;

/** @returns elements that show it. */
export function bySpeaker(conversation) {
  const spoken = new Map();
  for (const turn of conversation.turns) {
    const name = conversation.speaker(turn);
    const one = spoken.get(name) ?? { turns: 0, seconds: 0, labels: new Map(), bins: Array.from({ length: BINS }, () => new Map()) };
    const label = conversation.emotion(turn) ?? "—", seconds = turn.end - turn.start;
    one.turns += 1;
    one.seconds += seconds;
    one.labels.set(label, (one.labels.get(label) ?? 0) + seconds);
    const bin = conversation.duration / BINS;
    for (let at = Math.floor(turn.start / bin); at < BINS && at * bin < turn.end; at += 1) {
      const within = Math.min(turn.end, (at + 1) * bin) - Math.max(turn.start, at * bin);
      one.bins[at].set(label, (one.bins[at].get(label) ?? 0) + within);
    }
    spoken.set(name, one);
  }
  const all = [...spoken.values()].reduce((sum, one) => sum + one.seconds, 0) || 1;
  const head = make("tr", {}, ...["Speaker", "Talking time", "Turns", "Share of each label", "Over time"].map((name) => make("th", { scope: "col" }, name)));
  const rows = conversation.speakers().map((name) => row(conversation, name, spoken.get(name), all));
  if (!rows.length) return [make("p", { className: "hint" }, "Nobody was heard speaking.")];
  const table = make("div", { className: "scroll", tabIndex: 0 }, make("table", { className: "speakers" },
    make("caption", {}, "Talking time, and how it sounds, as guessed or corrected"),
    make("thead", {}, head), make("tbody", {}, ...rows)));
  table.setAttribute("role", "region");
  table.setAttribute("aria-label", "By speaker");
  return [
    table,
    make("p", { className: "hint" }, `Over time: ${BINS} stretches of ${clock(conversation.duration / BINS)} each; the height of a bar is how long somebody speaks in it.`),
  ];
}

function row(conversation, name, one, all) {
  const shares = conversation.labels.map((label, place) => [label, place, (one.labels.get(label) ?? 0) / (one.seconds || 1)]);
  const mix = make("div", { className: "mix" }, ...shares.map(([, place, share]) => {
    const part = coloured(make("i"), place);
    part.style.width = `${100 * share}%`;
    return part;
  }));
  mix.setAttribute("aria-hidden", "true");
  const told = shares.filter(([, , share]) => share > 0).map(([label, place, share]) =>
    make("li", {}, coloured(make("i", { className: "dot" }), place), `${label} ${percent(share)}`));
  return make("tr", {},
    make("th", { scope: "row", textContent: speakerName(name) }),
    make("td", {}, `${clock(one.seconds)} (${percent(one.seconds / all)})`),
    make("td", {}, String(one.turns)),
    make("td", {}, mix, make("ul", { className: "legend" }, ...told)),
    make("td", {}, course(conversation, one, name)));
}

/** How a speaker's labels change: a bar for each stretch of the recording. */
function course(conversation, one, name) {
  const bin = conversation.duration / BINS, wide = WIDTH / BINS;
  const drawing = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "course",
    "aria-label": `${speakerName(name)} over time: ${told(conversation, one)}` });
  drawing.append(draw("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5, class: "axis" }));
  for (const [at, shares] of one.bins.entries()) {
    let top = HEIGHT;
    for (const [place, label] of conversation.labels.entries()) {
      const height = HEIGHT * Math.min(1, (shares.get(label) ?? 0) / bin);
      if (!height) continue;
      top -= height;
      const bar = draw("rect", { x: at * wide + 1, y: Math.max(0, top), width: wide - 2, height });
      bar.style.setProperty("--hue", `var(--label-${place % settings.places})`);
      drawing.append(bar);
    }
  }
  return drawing;
}

/** The course in words: the label that leads in each quarter. */
function told(conversation, one) {
  const quarter = BINS / 4;
  return [0, 1, 2, 3].map((number) => {
    const sums = new Map();
    for (const shares of one.bins.slice(number * quarter, (number + 1) * quarter))
      for (const [label, seconds] of shares) sums.set(label, (sums.get(label) ?? 0) + seconds);
    const leading = [...sums].sort((a, b) => b[1] - a[1])[0];
    return `quarter ${number + 1} ${leading ? `mostly ${leading[0]}` : "silent"}`;
  }).join(", ");
}
