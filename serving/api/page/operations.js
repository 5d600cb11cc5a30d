/** The page at `/operations`: what is served and why; and, for an operator's key, changing it. */

import { ask, askJson, Problem } from "./api.js";
import { $, count, make, percent, say, sentence } from "./dom.js";
import { showLive } from "./live_numbers.js";
import { showReview } from "./review_queue.js";

const EVERY = 60_000, LIVE_EVERY = 5_000;
let mayChange = false, registry = null, refused = false;

const when = (text) => text
  ? make("time", { dateTime: text, title: text }, `${text.slice(0, 10)} ${text.slice(11, 16)} UTC`) : "–";
const address = (url, name) => url ? make("a", { href: url, rel: "noreferrer" }, name) : "";
const named = (version) => version == null ? "–" : `version ${version}`;
const said = (text, bad) => make("span", { className: bad ? "bad" : "" }, text);
const hint = (text) => make("p", { className: "hint" }, text);
const verdict = (text) => said(text, text === "fail");

/** A table; a cell is text or an element, and text of a long column has room. */
function table(columns, rows, empty) {
  if (!rows.length) return hint(empty);
  const cell = (content) => make("td", { className: typeof content === "string" && content.length > 40 ? "long" : "" }, content ?? "");
  const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)));
  return make("table", {}, make("thead", {}, head),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell)))));
}

/** Show a part, or in a line why it cannot be read. */
function part(id, content, draw) {
  const drawn = content?.fault && Object.keys(content).length === 1
    ? [said(sentence(content.fault), true)] : [draw(content)].flat();
  $(id).replaceChildren(...drawn);
}

function served(content) {
  const roles = Object.entries(content.roles).map(([role, one]) => [
    { production: "production", staging: "canary (staging)", candidate: "shadow (candidate)" }[role],
    named(one.version), verdict(one.verdict || "–"),
    { production: "answers", staging: `answers ${percent(content.canary_share)} of the requests`,
      candidate: `is asked ${percent(content.shadow_share)}, answers nobody` }[role],
  ]);
  const notes = [
    content.canary_share ? "" : "No share of the traffic goes to a canary (MOODLINE_TRAFFIC_CANARY_SHARE).",
    content.shadow_share ? "" : "No share goes to a shadow (MOODLINE_TRAFFIC_SHADOW_SHARE).",
  ].filter(Boolean);
  const wrong = content.refused.map((one) => `Version ${one.version} takes no traffic: ${one.reason}`);
  if (content.halted) wrong.push(`The canary, version ${content.halted.version}, was halted: ${content.halted.reason}`);
  return [table(["Role", "Version", "Gate", "What it does"], roles, ""),
    ...wrong.map((text) => make("p", { className: "bad" }, sentence(text))), ...(notes.length ? [hint(notes.join(" "))] : [])];
}

function gate(content) {
  const found = content.production;
  if (!found) return hint("No version is in production by the registry.");
  const line = make("p", {}, `Version ${found.version}: `, verdict(found.decision), found.fault ? ` (${found.fault})` : "");
  const rows = found.checks.map((check) => [check.name, check.value == null ? "–" : check.value.toFixed(3),
    `${check.bound} ${check.threshold}`, said(check.result, check.result === "fail"),
    check.decides === false ? `${check.says} (does not decide)` : check.says]);
  return [line, table(["Check", "Value", "Must be", "Result", "In words"], rows, "It has no checks that can be shown.")];
}

function versions(content) {
  const rows = content.versions.map((one) => {
    const acts = make("span", { className: "acts" });
    if (mayChange)
      for (const stage of ["production", "staging"])
        if (!one.aliases.includes(stage) && !one.aliases.includes("production"))
          acts.append(make("button", { type: "button", className: "quiet", onclick: () => propose("promote",
            `Put version ${one.version} into ${stage}`, `Its gate said ${one.verdict}.`, { version: one.version, to: stage }) },
          stage === "production" ? "Promote…" : "To staging…"));
    for (const button of acts.children) button.setAttribute("aria-label", `${button.textContent} version ${one.version}`);
    return [`${one.version}`, one.aliases.join(", "), verdict(one.verdict), said(one.signed ? "yes" : "no", !one.signed),
      one.accuracy == null ? "–" : `${(100 * one.accuracy).toFixed(1)} %`, when(one.made), one.why, acts];
  });
  return table(["Version", "Stands for", "Gate", "Signed", "Accuracy", "Made", "Why", "Change"], rows,
    "No version yet; moodline retrain makes one.");
}

const history = (content) => table(["Step", "When", "Who", "What", "From", "To", "Gate", "Reason"],
  content.history.map((one) => [`${one.step}`, when(one.at), one.who, `${one.action}, ${one.stage}`, named(one.from), named(one.to),
    verdict(one.verdict), said([one.reason, one.forced ? "(forced)" : "", one.won ? "" : "(refused: someone was faster)",
      one.fault ? `(${one.fault})` : ""].filter(Boolean).join(" "), Boolean(one.fault))]),
  "Nothing was ever in production or staging.");

function drift(content) {
  if (!content) return hint("No judgement lies in this service's log folder; moodline drift makes one.");
  const rates = Object.entries(content.accuracy).map(([version, rate]) => `${percent(rate)} on version ${version}`);
  return [make("p", {}, said(content.decision.replaceAll("_", " "), content.decision === "drift"), ` — ${content.reason} (`, when(content.at), ")"),
    hint(sentence(`${named(content.version)}, ${count(content.turns, "turn")} of ${count(content.recordings, "recording")}`
      + (content.drifted.length ? `; drifted: ${content.drifted.join(", ")}` : "")
      + (rates.length ? `; accuracy by feedback: ${rates.join(", ")}` : "")))];
}

const retrainings = (content) => table(["Nr", "When", "Asked by", "What became of it", "Why", "Links"],
  content.map((one) => [`${one.number}`, when(one.at), `${one.kind}: ${one.name}`,
    said([one.outcome, one.state && one.state !== "elsewhere" ? `(${one.state})` : ""].filter(Boolean).join(" "), one.outcome === "failed"),
    one.why, make("span", {}, address(one.run, "the run"), " ", address(one.cause, "its cause"))]),
  "The trigger has written nothing where MOODLINE_TRIGGER_URL points.");

const feedback = (content) => [make("p", {}, `${count(content.corrected, "turn")} corrected, ${content.confirmed} confirmed, `
  + `${count(content.speakers, "turn")} given another speaker`), hint(content.since ? "Since the newest version was made." : "Ever: no version is known.")];

async function look() {
  try {
    const found = await askJson("v1/operations");
    mayChange = found.may_change;
    registry = found.registry;
    $("why-not").hidden = mayChange;
    $("why-not").textContent = sentence(found.why_not || "-");
    $("acts").hidden = !mayChange;
    $("empty-staging").hidden = !found.served?.roles?.staging;
    $("links").replaceChildren(...Object.entries(found.links).map(([name, url]) => address(url, name)));
    part("served", found.served, served);
    part("gate", found.registry, gate);
    part("versions", found.registry, versions);
    part("history", found.registry, history);
    part("drift", found.drift, drift);
    part("retrainings", found.retrainings, retrainings);
    part("feedback", found.feedback, feedback);
    $("read").textContent = `As of ${new Date().toLocaleTimeString()}.`;
    $("problem").hidden = true;
    refused = false;
  } catch (error) {
    complain(error);
  }
}

function complain(error) {
  console.warn(error);
  // Who has no key is not asked for it every few seconds: "Look again" does.
  refused ||= error.status === 401;
  $("problem").textContent = error instanceof Problem ? `${error.message} ${error.next}` : `Something went wrong in this page: ${error.message}`;
  $("problem").hidden = false;
}

/** Ask for the reason, then change it; a refusal is told in the dialog, and the reason is kept. */
function propose(act, title, what, body) {
  $("change-title").textContent = title;
  $("change-what").textContent = what;
  $("refused").hidden = true;
  $("change-form").onsubmit = async (event) => {
    event.preventDefault();
    $("do-it").disabled = true;
    try {
      const done = await ask(`v1/operations/${act}`, { json: { ...body, reason: $("reason").value } });
      say(sentence((await done.json()).said));
      $("reason").value = "";
      $("change-dialog").close();
      await look();
    } catch (error) {
      $("refused").textContent = error.message;
      $("refused").hidden = false;
    } finally {
      $("do-it").disabled = false;
    }
  };
  $("change-dialog").showModal();
}

$("change-cancel").addEventListener("click", () => $("change-dialog").close());
$("refresh").addEventListener("click", async () => {
  const again = refused;
  await look();
  if (again && !refused) await showReview(complain).catch(complain);
});
/** The version is named: somebody else may have changed it since this page was read. */
function proposeBack(stage, title, what) {
  const there = registry?.versions?.find((one) => one.aliases.includes(stage));
  propose("rollback", title, `${there ? `Version ${there.version} is there now. ` : ""}${what}`,
    { stage, ...(there && { version: there.version }) });
}
$("roll-back").addEventListener("click", () => proposeBack("production", "Roll back production",
  "The version before this one comes back."));
$("empty-staging").addEventListener("click", () => proposeBack("staging", "Take the canary out of staging",
  "No request goes to it any more."));

let asking = false;
async function live() {
  if (document.hidden || refused || asking) return;
  asking = true;
  try { showLive(await askJson("v1/operations/live")); } catch (error) { complain(error); }
  asking = false;
}

await look();
await live();
if (!refused) await showReview(complain).catch(complain);
setInterval(() => refused || look(), EVERY);
setInterval(live, LIVE_EVERY);
