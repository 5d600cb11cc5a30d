/** What people correct: sent to `/v1/feedback`, taken back, sent again, counted; and the menu. */

import { ask, askJson, Problem } from "./api.js";
import { $, coloured, count, make, percent, say, speakerName } from "./dom.js";

const FIELDS = { emotion: "label", speaker: "speaker" };

export class Corrections {
  #undo = [];
  #unsent = new Map();
  #menu = $("menu");

  constructor() {
    $("undo").addEventListener("click", () => this.undo());
    $("resend").addEventListener("click", () => this.resend());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
    this.#menu.addEventListener("keydown", (event) => this.#moveInMenu(event));
    this.#menu.addEventListener("toggle", (event) => {
      const { activeElement } = document;  // who closed it by a click elsewhere, stays there
      const left = activeElement === document.body || this.#menu.contains(activeElement);
      if (event.newState === "closed" && left && this.opener?.isConnected) this.opener.focus();
    });
  }

  async show(conversation) {
    this.conversation = conversation;
    this.#undo = [];
    this.#unsent.clear();
    conversation.addEventListener("change", () => this.#tell());
    this.#tell();
    await this.refresh();
  }

  close() { this.conversation = null; }

  /** What was said so far, perhaps in another tab. */
  async refresh() {
    const { conversation } = this;
    if (!conversation) return;
    try {
      const said = await askJson(`v1/feedback/${encodeURIComponent(conversation.requestId)}`);
      if (conversation !== this.conversation) return;
      const byTurn = new Map(said.map((each) => [each.turn, each]));
      let changed = false;
      for (const turn of conversation.turns) {
        const { emotion, speaker } = byTurn.get(turn.index) ?? {};
        for (const [what, value] of Object.entries({ emotion, speaker })) {
          if (this.#unsent.has(`${turn.index} ${what}`)) continue;
          const known = what === "emotion" && turn.confirmed ? turn.emotion : turn.corrected[what];
          if (known === value) continue;
          conversation.lay(turn.index, what, value ?? null);
          changed = true;
        }
      }
      if (changed) conversation.changed();
      await this.#count();
    } catch (error) { if (!(error instanceof Problem)) throw error; }
  }

  /** Give a turn its right label or speaker. */
  async correct(index, what, value) {
    const { conversation } = this, turn = conversation.turns[index];
    if (conversation[what](turn) === value && !(what === "emotion" && value === turn.emotion && !turn.confirmed)) return;
    conversation.set(index, what, value);
    this.#undo.push([index, what]);
    const name = what === "speaker" ? speakerName(value) : value;
    say(`Turn ${index + 1}: the ${FIELDS[what]} is ${name}.`);
    await this.#send(index, what, value);
  }

  async #send(index, what, value) {
    const key = `${index} ${what}`;
    const { conversation } = this;
    try {
      await ask("v1/feedback", { json: { request_id: conversation.requestId, turn: index, [what]: value } });
      this.#unsent.delete(key);
      await this.#count();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#unsent.set(key, [index, what, value, error.status === 404]);
      const kept = "It is kept in this page, and in what you export.";
      say(error.status === 404 ? `The service keeps no record of this answer, so it takes no corrections. ${kept}` : `Not sent: ${error.message} ${kept}`);
    }
    this.#tell();
  }

  async resend() {
    for (const [index, what, value] of [...this.#unsent.values()]) await this.#send(index, what, value);
    if (!this.#unsent.size) say("All corrections were sent.");
  }

  async undo() {
    const last = this.#undo.pop();
    if (!last) return;
    const { conversation } = this, [index, what] = last;
    if (this.#unsent.delete(`${index} ${what}`)) conversation.set(index, what, null);
    else {
      try {
        const said = await (await ask(`v1/feedback/${encodeURIComponent(conversation.requestId)}/${index}?of=${what}`, { method: "DELETE" })).json();
        conversation.set(index, what, said[what] ?? null);
        await this.#count();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.#undo.push(last);
        say(`Not undone: ${error.message} ${error.next}`);
        return;
      }
    }
    say(`Turn ${index + 1}: undone.`);
    this.#tell();
  }

  async #count() {
    try {
      const { version, corrected, confirmed, speakers } = await askJson("v1/feedback");
      this.counted = `${count(corrected, "label")} and ${count(speakers, "speaker")} corrected, ${confirmed} confirmed since version ${version} was trained.`;
    } catch { this.counted = ""; }
    this.#tell();
  }

  #tell() {
    if (!this.conversation) return;
    const here = this.conversation.corrections().length;
    $("counted").textContent = `${here ? `${count(here, "turn")} corrected here. ` : ""}${this.counted ?? ""}`;
    $("undo").disabled = !this.#undo.length;
    const again = [...this.#unsent.values()].filter(([, , , never]) => !never).length;
    $("resend").hidden = !again;
    $("resend").textContent = `Send ${again} again`;
  }

  /** What a turn may be corrected to. */
  choices(what, index) {
    const { conversation } = this;
    if (what === "emotion") return conversation.labels;
    const speakers = conversation.speakers().filter((name) => name !== "unknown");
    const free = Array.from({ length: speakers.length + 1 }, (_, n) => `SPEAKER_${String(n).padStart(2, "0")}`).find((name) => !speakers.includes(name));
    return [...speakers, free];
  }

  /** The menu of a turn's labels or speakers, at a button. */
  open(index, what, opener) {
    const { conversation } = this, turn = conversation.turns[index], now = conversation[what](turn);
    const choices = this.choices(what, index);
    this.opener = opener;
    this.#menu.setAttribute("aria-label", what === "emotion" ? "How it sounds" : "Who speaks");
    this.#menu.replaceChildren(...choices.map((value, number) => {
      const name = what === "emotion" ? value : number === choices.length - 1 ? "Another speaker" : speakerName(value);
      const share = what === "emotion" && turn.probabilities[value] != null ? ` ${percent(turn.probabilities[value])}` : "";
      const button = make("button", { type: "button", tabIndex: -1 },
        ...(what === "emotion" ? [coloured(make("i", { className: "dot" }), number)] : []), name, make("em", {}, share),
        make("kbd", {}, number < 9 ? String(number + 1) : ""));
      button.setAttribute("role", "menuitemradio");
      button.setAttribute("aria-checked", String(value === now));
      button.addEventListener("click", () => { this.#menu.hidePopover(); this.correct(index, what, value); });
      return button;
    }));
    this.#menu.showPopover();
    const box = opener.getBoundingClientRect(), own = this.#menu.getBoundingClientRect();
    const below = box.bottom + own.height + 8 < innerHeight;
    this.#menu.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
    this.#menu.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - own.height - 4)}px`;
    (this.#menu.querySelector("[aria-checked=true]") ?? this.#menu.firstElementChild)?.focus();
  }

  get menuIsOpen() { return this.#menu.matches(":popover-open"); }

  #moveInMenu(event) {
    const items = [...this.#menu.children], at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[(to + items.length) % items.length].focus();
    else if (/^[1-9]$/.test(event.key) && items[event.key - 1]) items[event.key - 1].click();
    else if (event.key === "Tab") this.#menu.hidePopover();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
