/** A recording is sent as a job and watched until it is done; the page shows how far it is. */

import { ask, askJson, Problem, upload } from "./api.js";
import { $, clock, make, say, wait } from "./dom.js";

const STAGES = {
  upload: "Send it", queued: "Wait for a turn", decode: "Read the sound", enrol: "Learn the voices",
  transcribe: "Write down the words", diarize: "Tell the speakers apart", align: "Give words to speakers",
  classify: "Guess how it sounds",
};
const LATER = Object.keys(STAGES).filter((stage) => stage !== "enrol");
const JOB = (id) => `v1/jobs/${encodeURIComponent(id)}`;

/** Send a recording. @returns the job. */
export function sendRecording(file, asked, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(asked)) if (value) form.append(name, value);
  for (const name of ["words", "unaligned", "waveform"]) form.append(name, "true");
  form.append("audio", file, file.name);
  return upload("v1/jobs", form, (share) => showProgress("upload", share), signal);
}

/** Watch a job until it is done, through lost connections. @returns the finished job. */
export async function watchJob(id, signal) {
  let pause = 300, lost = false;
  for (;;) {
    try {
      const job = await askJson(JOB(id), { signal });
      if (lost) say("The connection is back.");
      lost = false;
      if (job.state === "done") return job;
      if (job.state === "failed") throw new Problem(422, job.reason ?? "it could not be analysed");
      showProgress(job.state === "queued" ? "queued" : job.stage, job.share, job);
      pause = Math.min(pause * 1.2, 2000);
    } catch (error) {
      const passing = error instanceof Problem && [0, 429, 502, 503, 504].includes(error.status);
      if (!passing) throw error;
      pause = Math.max(1000 * error.retry, Math.min(pause * 1.5, 10000));
      lost = true;
      $("working").textContent = `${error.message} Asking again…`;
    }
    await wait(pause, signal);
  }
}

export const deleteJob = (id) => ask(JOB(id), { method: "DELETE" });

/** Begin to show progress of a recording. */
export function showWork(name, began = Date.now()) {
  $("work").dataset.name = name;
  $("work").dataset.began = began;
  $("work").dataset.stage = "";
  $("stages").replaceChildren(...LATER.map((stage) =>
    make("li", { data: { stage } }, STAGES[stage])));
}

function showProgress(stage, share, job) {
  const work = $("work"), place = LATER.indexOf(stage === "enrol" ? "decode" : stage);
  if (job?.recording && !work.dataset.name) work.dataset.name = job.recording;
  const began = job?.created ? Date.parse(job.created) : Number(work.dataset.began);
  $("working").textContent = `${work.dataset.name} · ${clock(Math.max(0, Date.now() - began) / 1000, 0)}`;
  for (const [number, item] of [...$("stages").children].entries()) {
    item.dataset.state = number < place ? "done" : number === place ? "now" : "later";
    if (number === place) item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
  }
  $("stage-name").textContent = STAGES[stage] ?? stage ?? "";
  if (share > 0) $("share").value = share; else $("share").removeAttribute("value");
  if (work.dataset.stage !== stage) {
    work.dataset.stage = stage;
    say(STAGES[stage] ?? "");
  }
}
