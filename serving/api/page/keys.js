/** Keys for who works without a mouse. They count while the focus is in the conversation. */

import { $, make } from "./dom.js";

const KEYS = [
  ["↓ or j, ↑ or k", "the next turn, the turn before"], ["p", "play or pause"], ["Enter on a time", "play from there"],
  ["1 … 9", "this turn sounds like the first label, the second …"], ["s, then 1 … 9", "the first speaker speaks, the second …"],
  ["n", "the next doubtful turn"], ["u", "undo"], ["/", "search"], ["+ and −", "zoom"], ["?", "this list"],
];

/** @param actions what each key does. */
export function listenToKeys(actions) {
  $("help-list").replaceChildren(...KEYS.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)]));
  $("help").addEventListener("click", () => $("help-dialog").showModal());
  $("help-close").addEventListener("click", () => $("help-dialog").close());
  const simple = {
    ArrowDown: () => actions.step(1), j: () => actions.step(1), ArrowUp: () => actions.step(-1), k: () => actions.step(-1),
    p: actions.toggle, n: actions.doubtful, u: actions.undo, s: actions.speakerMenu, "/": () => $("search").focus(),
    "+": () => actions.zoom(2), "=": () => actions.zoom(2), "-": () => actions.zoom(0.5), "?": () => $("help-dialog").showModal(),
  };
  $("conversation").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, textarea")) return;
    const inTurns = event.target.closest("#turns");
    if (event.key.startsWith("Arrow") && !inTurns) return;
    const act = /^[1-9]$/.test(event.key) ? () => actions.label(Number(event.key) - 1) : simple[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/** Tabs: the arrow keys move between them, as screen readers expect. */
export function listenToTabs(shown) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab, focus = false) => {
    for (const each of tabs) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
      $(each.getAttribute("aria-controls")).hidden = each !== tab;
    }
    if (focus) tab.focus();
    shown(tab.id.replace("tab-", ""));
  };
  for (const [number, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: number + 1, ArrowLeft: number - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      choose(tabs[(to + tabs.length) % tabs.length], true);
    });
  }
  return (name) => choose($(`tab-${name}`));
}
