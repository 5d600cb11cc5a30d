/** The conversation as a file, with what was corrected in it. */

import { ask, Problem } from "./api.js";
import { count, make, say } from "./dom.js";

const FORMATS = [
  ["json", "JSON", "everything that was answered, and the turns as corrected"],
  ["rttm", "RTTM", "who speaks when; it carries no emotions"],
  ["vtt", "WebVTT", "subtitles for the web"],
  ["srt", "SubRip", "subtitles for players"],
  ["html", "Report", "a page that works offline"],
];

/** @returns elements that offer it. */
export function exporting(conversation) {
  const here = conversation.corrections().length;
  return [
    make("p", { className: "hint" }, here
      ? `${count(here, "corrected turn")} will be in the file. The answer's own values stand beside them in JSON.`
      : "Nothing is corrected so far: the file has what the service answered."),
    make("ul", { className: "exports" }, ...FORMATS.map(([format, name, what]) =>
      make("li", {}, make("button", { type: "button", className: "quiet", data: { format }, onclick: () => save(conversation, format) }, name), ` ${what}`))),
  ];
}

async function save(conversation, format) {
  try {
    const turns = conversation.toSegLst(), { name } = conversation;
    const blob = format === "json"
      ? new Blob([JSON.stringify({ ...conversation.answer, turns }, null, 1)], { type: "application/json" })
      : await (await ask("v1/export", { json: { turns, format, session_id: name } })).blob();
    const url = URL.createObjectURL(blob);
    make("a", { href: url, download: `${name}.${format}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    say(`${name}.${format} was saved.`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(`Not saved: ${error.message} ${error.next}`);
  }
}
