/** The page at `/`: a recording is sent, watched, then heard, seen, corrected and exported.
 *
 *  The job's id stands in the address (`#job=…`), so a reload, a bookmark or the button "back" finds
 *  the recording again. The sound itself stays in this browser (`sounds.js`). */

import { ask, askJson, Problem } from "./api.js";
import { comparison } from "./compare.js";
import { Conversation } from "./conversation.js";
import { Corrections } from "./corrections.js";
import { $, clock, count, say, sentence, settings } from "./dom.js";
import { exporting } from "./exports.js";
import { deleteJob, sendRecording, showWork, watchJob } from "./jobs.js";
import { listenToKeys, listenToTabs } from "./keys.js";
import { speak } from "./live.js";
import { Player } from "./player.js";
import { reviewQueue } from "./review.js";
import { forgetOldSounds, forgetSound, keepSound, soundOf } from "./sounds.js";
import { bySpeaker } from "./speakers.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";
import { offerUpload } from "./upload.js";

let conversation = null, underWay = null, again = null, view = "transcript";

const player = new Player();
const corrections = new Corrections();
const timeline = new Timeline(player, (index, time) => {
  if (index >= 0) transcript.select(index);
  player.playFrom(time);
});
const play = (index) => player.playFrom(conversation.turns[index].start);
const transcript = new Transcript({
  play, menu: (...chosen) => corrections.open(...chosen), select: (index) => timeline.mark(timeline.playing, index),
});

function show(...ids) {
  for (const id of ["problem", "start", "live", "work", "conversation"]) $(id).hidden = !ids.includes(id);
}

/** What went wrong, and what to do next; with a way to try once more, where that may help. */
function complain(error, retry = null) {
  console.warn(error);
  const known = error instanceof Problem;
  $("reason").textContent = known ? error.message : `Something went wrong in this page: ${error.message}`;
  $("next").textContent = known ? error.next : "Reload the page; if it goes on, tell the operator.";
  again = retry;
  $("again").hidden = !retry;
  show("problem", "start");
  $("problem").focus();
}
$("again").addEventListener("click", () => again?.());

async function send(file, asked) {
  const running = begin();
  // The address is that of another recording perhaps, which "Stop and delete it" would delete.
  if (jobInAddress()) history.pushState(null, "", ".");
  showWork(file.name);
  show("work");
  leaving.armed = true;
  try {
    const job = await sendRecording(file, asked, running.signal);
    await handOver(job.id, file, running);
  } catch (error) {
    leaving.armed = !running.signal.aborted && ![400, 413, 415, 422].includes(error.status);
    if (!running.signal.aborted) complain(error, () => send(file, asked));
  }
}

/** A recording that is spoken live: the service has it once it is finished, as a job like any. */
async function talk(asked) {
  const running = begin();
  if (jobInAddress()) history.pushState(null, "", ".");
  $("record").disabled = true;
  let spoken;
  try {
    spoken = await speak(asked, () => {
      running.signal.throwIfAborted();
      leaving.armed = live.open = true;
      show("live");
      $("live-title").focus();
    });
  } catch (error) {
    if (!running.signal.aborted) complain(error, () => talk(asked));
    return;
  } finally {
    $("record").disabled = false;
    if (!running.signal.aborted) leaving.armed = live.open = false;
  }
  if (!spoken) { arrive(); return; }
  form.choose(spoken.file);
  if (spoken.job) await handOver(spoken.job, spoken.file, running); else await send(spoken.file, asked);
}

/** Show a job that was just sent; its sound stays here. */
async function handOver(id, file, running) {
  leaving.armed = false;
  await keepSound(id, file);
  history.pushState(null, "", `#job=${id}`);
  await follow(id, running, file);
}

/** Watch a job to its end, then show it. */
async function follow(id, running = begin(), file = null) {
  if (!file) showWork("");
  show("work");
  try {
    const job = await watchJob(id, running.signal), sound = file ?? await soundOf(id);
    running.signal.throwIfAborted();
    await open(job, sound);
  } catch (error) {
    if (running.signal.aborted) return;
    const over = [404, 422].includes(error.status), kept = over && (file ?? await soundOf(id));
    if (kept) form.choose(kept);
    if (over) { forgetSound(id); history.replaceState(null, "", "."); }
    complain(error, [0, 401].includes(error.status) || error.status >= 500 ? () => follow(id) : null);
  }
}

function begin() {
  underWay?.abort(new DOMException("another one was begun", "AbortError"));
  underWay = new AbortController();
  close();
  return underWay;
}

function close() {
  player.close();
  corrections.close();
  conversation = null;
  document.title = "Moodline — who said what, and how it sounded";
}

async function open(job, file) {
  conversation = new Conversation(job);
  const { answer, turns } = conversation, people = conversation.speakers().filter((name) => name !== "unknown");
  $("name").textContent = conversation.name;
  document.title = `${conversation.name} — Moodline`;
  $("facts").textContent = turns.length
    ? `${clock(answer.duration)} · ${count(turns.length, "turn")} · ${count(people.length, "speaker")} · ${answer.model.name} version ${conversation.version}`
    : `${clock(answer.duration)} · nobody was heard speaking`;
  $("notes").textContent = (answer.notes ?? []).map(sentence).join(" ");
  $("notes").hidden = !answer.notes;
  conversation.addEventListener("change", () => fill(view));
  transcript.show(conversation);
  show("conversation");
  player.show(conversation, file);
  timeline.show(conversation);
  choose("transcript");
  $("name").focus({ preventScroll: true });
  say(`Done: ${$("facts").textContent}`);
  await corrections.show(conversation);
}

player.addEventListener("time", () => {
  if (!conversation) return;
  const playing = player.hasSound ? conversation.at(player.time) : [];
  timeline.mark(playing, transcript.selected);
  transcript.follow(playing, player.time, $("follow").checked && !player.audio.paused);
});
$("follow").addEventListener("change", () => player.follow($("follow").checked));

/** A view is made when it is looked at, and anew after each correction. */
function fill(name) {
  view = name;
  if (!conversation || name === "transcript") return;
  const made = {
    speakers: () => bySpeaker(conversation),
    review: () => reviewQueue(conversation, { play, correct: (index, label) => corrections.correct(index, "emotion", label) }),
    compare: () => comparison(conversation, play),
    exports: () => exporting(conversation),
  }[name]();
  const panel = $(`view-${name}`), focused = panel.contains(document.activeElement);
  panel.replaceChildren(...made);
  if (focused) (panel.querySelector("button") ?? panel).focus();
}
const choose = listenToTabs(fill);

const current = () => Math.max(0, transcript.selected);
listenToKeys({
  step: (by) => transcript.step(by), toggle: () => player.toggle(), undo: () => corrections.undo(),
  doubtful: () => transcript.step(1, (turn) => conversation.doubtful(turn)) || say("No doubtful turn is left below."),
  zoom: (factor) => player.zoom(player.pixels() * factor),
  label: (number) => conversation.labels[number] && conversation.turns.length && corrections.correct(current(), "emotion", conversation.labels[number]),
  speakerMenu: () => transcript.rows.length && corrections.open(current(), "speaker", transcript.rows[current()].querySelector(".who")),
});

const form = offerUpload(send, talk, (problem) => complain(problem));
$("stop").addEventListener("click", async () => {
  const id = jobInAddress();
  underWay?.abort(new DOMException("stopped", "AbortError"));
  await forget(id);
});
$("forget").addEventListener("click", () => forget(conversation.id));
$("fresh").addEventListener("click", () => { history.pushState(null, "", "."); arrive(); });
$("refile").addEventListener("change", async ({ target }) => {
  const file = target.files[0];
  if (!file || !conversation) return;
  await keepSound(conversation.id, file);
  player.show(conversation, file);
});

/** Delete a job here and in the service. */
async function forget(id) {
  if (id) {
    await forgetSound(id);
    try { await deleteJob(id); } catch (error) {
      if (error.status !== 404) { complain(error, () => forget(id)); return; }
    }
  }
  history.replaceState(null, "", ".");
  arrive();
  say("It was deleted.");
}

const jobInAddress = () => new URLSearchParams(location.hash.slice(1)).get("job");

/** Show what the address names. */
function arrive() {
  const id = jobInAddress();
  begin();
  if (id) follow(id); else show("start");
}
const leaving = { armed: false }, live = { open: false };
addEventListener("popstate", () => {
  if (!live.open) { arrive(); return; }
  history.pushState(null, "", ".");
  say("Finish what you speak, or stop and delete it, before you go on.");
});
addEventListener("beforeunload", (event) => { if (leaving.armed) event.preventDefault(); });

/** Whether the service has another page by now, or another model version than the one that answered. */
async function look() {
  if (document.hidden) return;
  try {
    const response = await ask(".", { method: "HEAD" });
    const page = response.headers.get("X-Moodline-Page");
    $("renewed").hidden = !page || page === settings.page;
    if (!conversation) return;
    const { version } = await askJson("v1/model");
    if (version !== conversation.version)
      say(`Version ${version} answers now; this conversation was read by version ${conversation.version}, and keeps its labels.`);
  } catch { /* it is told where something is asked for */ }
}
document.addEventListener("visibilitychange", look);
$("reload").addEventListener("click", () => location.reload());

forgetOldSounds();
arrive();
