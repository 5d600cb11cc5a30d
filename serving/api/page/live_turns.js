/** The turns of a live call: those that have their label, below them the words that wait for it. */

import { Conversation } from "./conversation.js";
import { clock, make, sentence, speakerName } from "./dom.js";
import { showLabel, showSpeaker, showWords } from "./turn.js";

const LAST = 1000;  // words that are kept: more than are in one turn

export class LiveTurns {
  #rows = new Map();
  #texts = new Map();
  #words = [];
  #waiting = [];
  #model = {};

  /** @param said where new turns are told to screen readers. */
  constructor(list, said) {
    this.list = list;
    this.said = said;
    this.clear();
  }

  begin({ labels, version }) { if (labels) this.#model = { labels, version }; }

  clear() {
    this.#rows.clear();
    this.#texts.clear();
    this.#words = [];
    this.#waiting = [];
    this.said.textContent = "";
    this.list.replaceChildren();
  }

  words(words) {
    const timed = words.filter(({ start, end }) => start != null && end != null);
    this.#words = [...this.#words, ...timed].slice(-LAST);
    this.#waiting.push(...timed);
    this.#draw(() => {});
  }

  /** A new turn, or one whose speaker went on. */
  turn(number, answered) {
    const own = this.#words.filter((word) => within(answered, word)), result = { turns: [answered], words: own, model: this.#model, duration: 0 };
    const conversation = new Conversation({ result }), [turn] = conversation.turns;
    const row = this.#rows.get(number) ?? line(number), label = row.querySelector(".label");
    row.querySelector(".time").textContent = clock(turn.start);
    showSpeaker(row.querySelector(".who"), conversation, turn);
    showWords(row.querySelector(".words"), turn);
    const sounds = showLabel(label, conversation, turn);
    const before = this.#texts.get(number), more = before !== undefined && turn.words.startsWith(before);
    this.#texts.set(number, turn.words);
    this.#waiting = this.#waiting.filter((word) => !within(answered, word));
    this.#draw(() => {
      if (this.#rows.has(number)) return;
      this.#rows.set(number, row);
      this.list.append(row);
    });
    this.said.textContent = sentence(`${row.querySelector(".who").textContent}, sounds ${sounds}: ${more ? turn.words.slice(before.length).trim() : turn.words}`);
  }

  /** Change the list, with the waiting words at its end; who reads at the end is kept there. */
  #draw(change) {
    const { list } = this, atEnd = list.scrollTop + list.clientHeight > list.scrollHeight - 40;
    for (const row of list.querySelectorAll(".waiting")) row.remove();
    change();
    list.append(...runs(this.#waiting).map((words) => {
      const row = line("waiting");
      row.classList.add("waiting");
      row.querySelector(".time").textContent = clock(words[0].start ?? 0);
      row.querySelector(".who").textContent = words[0].speaker ? speakerName(words[0].speaker) : "…";
      row.querySelector(".words").textContent = words.map(({ word }) => word.trim()).join(" ");
      row.querySelector(".label").textContent = "…";
      return row;
    }));
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}

const line = (index) => make("li", { data: { index } },
  make("span", { className: "time" }), make("span", { className: "who" }), make("p", { className: "words" }), make("span", { className: "label" }));

/** Whether a word is one of a turn: its speaker's, with its middle in it. */
function within(turn, { start, end, speaker }) {
  const middle = (start + end) / 2;
  return speaker === turn.speaker && turn.start_time <= middle && middle <= turn.end_time;
}

/** Words one after the other by the same speaker. */
function runs(words) {
  const found = [];
  for (const word of words)
    if (found.at(-1)?.[0].speaker === word.speaker) found.at(-1).push(word); else found.push([word]);
  return found;
}
