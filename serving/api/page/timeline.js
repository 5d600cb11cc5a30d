/** A lane a speaker, drawn on one canvas: only what is seen, so that an hour is as quick as a minute. */

import { $, clock, coloured, make, settings, speakerName } from "./dom.js";
import { resolved } from "./player.js";

const LANE = 34, RULER = 20, BAR = 26, OVERLAP = 4;
const STEPS = [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

export class Timeline {
  #wanted = false;
  #canvas = $("lanes");
  #context = this.#canvas.getContext("2d");

  /** @param chosen called with the index of the turn that was clicked, and the time. */
  constructor(player, chosen) {
    this.player = player;
    this.playing = new Set();
    this.selected = -1;
    player.addEventListener("view", () => this.redraw());
    player.addEventListener("time", () => this.redraw());
    new ResizeObserver(() => this.redraw()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.#inks = null; this.redraw(); });
    this.#canvas.addEventListener("click", (event) => {
      const turn = this.#under(event);
      chosen(turn?.index ?? -1, this.#timeAt(event));
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      const turn = this.#under(event);
      this.#canvas.title = turn ? `${clock(turn.start)} ${this.conversation.title(turn)}: ${turn.words}` : "";
    });
    this.#canvas.addEventListener("wheel", (event) => {
      const { first, pixels } = player.view();
      const moved = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.shiftKey ? event.deltaY : 0;
      if (event.ctrlKey) player.zoom(pixels * (event.deltaY < 0 ? 1.25 : 0.8));
      else if (moved) player.scrollTo(first + moved / pixels);
      else return;
      event.preventDefault();
    }, { passive: false });
    const bar = $("scrollbar");
    bar.addEventListener("scroll", () => {
      const { first, pixels } = player.view();
      if (Math.abs(bar.scrollLeft - first * pixels) > 1) player.scrollTo(bar.scrollLeft / pixels);
    });
  }

  #inks = null;

  show(conversation) {
    this.conversation = conversation;
    this.#inks = null;
    conversation.addEventListener("change", () => { this.#lay(); this.redraw(); });
    this.#lay();
    $("legend").replaceChildren(
      ...conversation.labels.map((label, place) => make("li", {},
        coloured(make("i", { className: "dot" }), place), label)),
      make("li", {}, make("i", { className: "dot two" }), "several at once"));
    this.redraw();
  }

  /** Speakers to lanes; stretches in which several speak. */
  #lay() {
    const { conversation } = this;
    const speakers = this.speakers = conversation.speakers();
    this.lanes = speakers.map((name) => conversation.turns.filter((turn) => conversation.speaker(turn) === name));
    $("lane-names").replaceChildren(make("span", { className: "ruler" }),
      ...speakers.map((name) => make("span", { textContent: speakerName(name), title: name })));
    // Turns that were given to another speaker may overlap those of the lane.
    this.longest = conversation.turns.reduce((most, turn) => Math.max(most, turn.end - turn.start), 0);
    const edges = conversation.turns.flatMap((turn) => [[turn.start, 1], [turn.end, -1]]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    this.overlaps = [];
    let speaking = 0, since = 0;
    for (const [time, change] of edges) {
      if (speaking < 2 && speaking + change === 2) since = time;
      if (speaking === 2 && change < 0 && time > since) this.overlaps.push([since, time]);
      speaking += change;
    }
  }

  /** Mark the turns that sound now; and which one is selected. */
  mark(playing, selected) {
    this.playing = new Set(playing);
    this.selected = selected;
    this.redraw();
  }

  redraw() {
    if (this.#wanted || !this.conversation) return;
    this.#wanted = true;
    requestAnimationFrame(() => { this.#wanted = false; this.#draw(); });
  }

  #draw() {
    const { width, first, pixels } = this.player.view();
    if (!width) return;
    const height = RULER + LANE * this.lanes.length, scale = devicePixelRatio || 1;
    const canvas = this.#canvas, context = this.#context;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.height = `${height}px`;
    }
    const inks = this.#inks ??= this.#mix();
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const x = (time) => (time - first) * pixels, last = first + width / pixels;
    this.#ruler(context, inks, x, first, last, width, pixels);
    let drawn = 0;
    for (const [number, turns] of this.lanes.entries()) {
      const top = RULER + number * LANE + (LANE - BAR) / 2;
      context.fillStyle = inks.sunk;
      context.fillRect(0, top, width, BAR);
      for (let at = firstFrom(turns, first - this.longest); at < turns.length && turns[at].start < last; at += 1) {
        if (turns[at].end < first) continue;
        this.#bar(context, inks, turns[at], x(turns[at].start), top, Math.max(2, (turns[at].end - turns[at].start) * pixels - 1));
        drawn += 1;
      }
    }
    Object.assign(canvas.dataset, { drawn, last: Math.min(last, this.player.duration).toFixed(1) });
    context.fillStyle = inks.ink;
    for (const [start, end] of this.overlaps)
      if (end > first && start < last) context.fillRect(x(start), RULER - OVERLAP, Math.max(2, (end - start) * pixels), OVERLAP - 1);
    context.fillRect(x(this.player.time) - 1, 0, 2, height);
    const bar = $("scrollbar"), whole = Math.round(this.player.duration * pixels);
    bar.hidden = whole <= width + 1;
    bar.firstElementChild.style.width = `${whole}px`;
    if (Math.abs(bar.scrollLeft - first * pixels) > 1) bar.scrollLeft = first * pixels;
  }

  #bar(context, inks, turn, left, top, width) {
    const label = this.conversation.emotion(turn), place = this.conversation.place(label);
    const colour = place < 0 ? inks.soft : inks.labels[place % settings.places];
    context.globalAlpha = this.playing.has(turn.index) || turn.index === this.selected ? 1 : 0.86;
    context.fillStyle = colour;
    context.fillRect(left, top, width, BAR);
    if (place > 0 && place % 6) {
      context.fillStyle = inks.patterns[place % 6];
      context.fillRect(left, top, width, BAR);
    }
    context.globalAlpha = 1;
    if (this.playing.has(turn.index) || turn.index === this.selected) {
      context.strokeStyle = inks.ink;
      context.lineWidth = this.playing.has(turn.index) ? 2.5 : 1.5;
      context.strokeRect(left + 1, top + 1, Math.max(1, width - 2), BAR - 2);
    }
    if (!label || width < 14) return;
    context.font = inks.font;
    context.textBaseline = "middle";
    const doubt = this.conversation.doubtful(turn) ? "?" : "";
    const text = [label + doubt, label[0] + doubt, label[0]].find((each) => context.measureText(each).width + 10 <= width);
    if (!text) return;
    const wide = context.measureText(text).width;
    context.fillStyle = inks.card;
    context.fillRect(left + 3, top + 5, wide + 4, BAR - 10);
    context.fillStyle = inks.ink;
    context.fillText(text, left + 5, top + BAR / 2 + 1);
  }

  #ruler(context, inks, x, first, last, width, pixels) {
    const step = STEPS.find((each) => each * pixels >= 70) ?? STEPS.at(-1);
    context.font = inks.font;
    context.textBaseline = "top";
    for (let time = Math.ceil(first / step) * step; time <= last; time += step) {
      context.fillStyle = inks.line;
      context.fillRect(Math.round(x(time)), 0, 1, RULER);
      context.fillStyle = inks.soft;
      if (x(time) < width - 30) context.fillText(clock(time, step < 1 ? 1 : 0), Math.round(x(time)) + 3, 2);
    }
  }

  #mix() {
    const inks = Object.fromEntries(["ink", "soft", "line", "sunk", "card"].map((name) => [name, resolved(`--${name}`)]));
    inks.labels = Array.from({ length: settings.places }, (_, place) => resolved(`--label-${place}`));
    inks.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    inks.patterns = Array.from({ length: 6 }, (_, number) => pattern(this.#context, number, inks.card));
    return inks;
  }

  #timeAt(event) {
    const { first, pixels } = this.player.view();
    return first + event.offsetX / pixels;
  }

  #under(event) {
    const time = this.#timeAt(event), lane = this.lanes?.[Math.floor((event.offsetY - RULER) / LANE)] ?? [];
    return lane.findLast((turn) => turn.start <= time && time <= turn.end);
  }
}

/** The first turn that begins at a time or later; a lane's turns are in order of their beginnings. */
function firstFrom(turns, time) {
  let low = 0, high = turns.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (turns[middle].start < time) low = middle + 1; else high = middle;
  }
  return low;
}

/** Stripes and dots beside the colours, for who tells colours apart badly. */
function pattern(context, number, ink) {
  const tile = new OffscreenCanvas(8, 8), on = tile.getContext("2d");
  on.strokeStyle = on.fillStyle = ink;
  on.globalAlpha = 0.45;
  on.lineWidth = 1.5;
  const lines = [[], [[0, 8, 8, 0]], [[0, 4, 8, 4]], [[0, 0, 8, 8]], [], [[4, 0, 4, 8]]][number];
  for (const [a, b, c, d] of lines) { on.beginPath(); on.moveTo(a, b); on.lineTo(c, d); on.stroke(); }
  if (number === 4) { on.beginPath(); on.arc(4, 4, 1.5, 0, 7); on.fill(); }
  return context.createPattern(tile, "repeat");
}
