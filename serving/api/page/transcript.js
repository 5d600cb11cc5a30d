/** The words by turn: play, search, highlight; labels and speakers are corrected here. */

import { $, clock, count, make } from "./dom.js";
import { showLabel, showSpeaker, showWords } from "./turn.js";

export class Transcript {
  #playing = [];
  #word = null;

  /** @param actions {play(index), menu(index, what, button), select(index)} */
  constructor(actions) {
    this.actions = actions;
    this.list = $("turns");
    this.list.addEventListener("click", (event) => {
      const button = event.target.closest("button"), row = event.target.closest("li");
      if (!row) return;
      const index = Number(row.dataset.index);
      this.select(index);
      if (button?.classList.contains("time")) actions.play(index);
      else if (button) actions.menu(index, button.dataset.what, button);
    });
    this.list.addEventListener("focusin", (event) => {
      const row = event.target.closest("li");
      if (row) this.select(Number(row.dataset.index));
    });
    $("search").addEventListener("input", () => this.search($("search").value));
  }

  show(conversation) {
    this.conversation = conversation;
    this.#playing = [];
    this.#word = null;
    this.selected = -1;
    this.rows = conversation.turns.map((turn) => this.#row(turn));
    this.list.replaceChildren(...this.rows);
    if (!this.rows.length) this.list.append(make("li", { className: "hint" }, "Nobody was heard speaking."));
    conversation.addEventListener("change", ({ detail }) => {
      for (const turn of detail < 0 ? conversation.turns : [conversation.turns[detail]]) this.#fill(turn);
    });
    $("search").value = "";
    this.search("");
    if (this.rows.length) this.select(0, false);
  }

  #row(turn) {
    const button = (className, what) => make("button", { type: "button", className, tabIndex: -1, data: what ? { what } : {} });
    const row = make("li", { data: { index: turn.index } },
      button("time"), button("who", "speaker"), make("p", { className: "words" }), button("label", "emotion"));
    row.querySelector(".time").textContent = clock(turn.start);
    row.querySelector(".time").setAttribute("aria-label", `Play from ${clock(turn.start)}`);
    for (const each of row.querySelectorAll("[data-what]")) each.setAttribute("aria-haspopup", "menu");
    showWords(row.querySelector(".words"), turn);
    this.#fill(turn, row);
    return row;
  }

  /** What may be corrected, as it stands now. */
  #fill(turn, row = this.rows[turn.index]) {
    const who = row.querySelector(".who"), label = row.querySelector(".label");
    showSpeaker(who, this.conversation, turn);
    who.classList.toggle("fixed", Boolean(turn.corrected.speaker));
    who.setAttribute("aria-label", `${who.textContent}${turn.corrected.speaker ? ", corrected" : ""}: change the speaker`);
    const said = showLabel(label, this.conversation, turn);
    label.classList.toggle("fixed", Boolean(turn.corrected.emotion));
    label.setAttribute("aria-label", `Sounds ${said}: change the label`);
  }

  /** One row's buttons are reached by the tabulator, the others' by the arrow keys. */
  select(index, tell = true) {
    if (index === this.selected || !this.rows[index]) return;
    for (const [each, on] of [[this.selected, false], [index, true]]) {
      const row = this.rows[each];
      if (!row) continue;
      row.classList.toggle("selected", on);
      for (const button of row.querySelectorAll("button")) button.tabIndex = on ? 0 : -1;
    }
    this.selected = index;
    if (tell) this.actions.select(index);
  }

  /** Move the focus to a row, onto the same kind of button. */
  focus(index, what = null) {
    const row = this.rows[index];
    if (!row || row.hidden) return false;
    const kind = what ?? (document.activeElement?.closest?.("#turns li") ? document.activeElement.classList[0] : "time");
    (row.querySelector(`button.${kind}`) ?? row.querySelector("button")).focus();
    this.#reveal(row);
    return true;
  }

  /** The next row that is seen, up or down, for which it holds. */
  step(by, holds = () => true) {
    for (let index = this.selected + by; index >= 0 && index < this.rows.length; index += by)
      if (!this.rows[index].hidden && holds(this.conversation.turns[index])) return this.focus(index);
    return false;
  }

  /** Follow the sound: the turns that are heard, and the word. */
  follow(playing, time, keepInView) {
    const started = playing.filter((index) => !this.#playing.includes(index));
    for (const index of this.#playing) if (!playing.includes(index)) this.rows[index]?.classList.remove("on");
    for (const index of started) {
      this.rows[index].classList.add("on");
      showWords(this.rows[index].querySelector(".words"), this.conversation.turns[index], true);
    }
    if (started.length && keepInView) this.#reveal(this.rows[started[0]]);
    this.#playing = playing;
    let word = null;
    for (const index of playing)
      word = this.conversation.turns[index].tokens.findLast((token) => token.start != null && token.start <= time)?.element ?? word;
    if (word === this.#word) return;
    this.#word?.classList.remove("now");
    word?.classList.add("now");
    this.#word = word;
  }

  #reveal(row) {
    const list = this.list.getBoundingClientRect(), own = row.getBoundingClientRect();
    if (own.top >= list.top && own.bottom <= list.bottom) return;
    this.list.scrollTop += own.top - list.top - list.height / 3;
  }

  search(text) {
    const wanted = text.trim().toLocaleLowerCase();
    const ranges = [];
    let shown = 0;
    for (const [index, row] of (this.rows ?? []).entries()) {
      const turn = this.conversation.turns[index];
      row.hidden = wanted !== "" && !turn.words.toLocaleLowerCase().includes(wanted);
      shown += !row.hidden;
      if (wanted && !row.hidden) ranges.push(...found(row.querySelector(".words"), wanted));
    }
    $("found").textContent = wanted ? `${count(shown, "turn")} with “${text.trim()}”` : "";
    if (globalThis.Highlight) CSS.highlights.set("found", new Highlight(...ranges));
  }
}

/** Where a text stands in the text nodes of an element, as ranges. */
function found(element, wanted) {
  const ranges = [];
  for (const node of element.childNodes) {
    const text = node.firstChild ?? node, own = text.data?.toLocaleLowerCase() ?? "";
    for (let at = own.indexOf(wanted); at >= 0; at = own.indexOf(wanted, at + wanted.length)) {
      const range = new Range();
      range.setStart(text, at);
      range.setEnd(text, Math.min(at + wanted.length, text.length));
      ranges.push(range);
    }
  }
  return ranges;
}
