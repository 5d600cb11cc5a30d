/** Speaking live: what the microphone hears is shown as the service understands it. */

import { Call } from "./call.js";
import { $, clock, say } from "./dom.js";
import { LiveTurns } from "./live_turns.js";
import { openMicrophone } from "./microphone.js";

const SILENT = 0.01, QUIET = 0.03, CLIPPED = 0.99;  // of the loudest there can be
const LONG = 5;  // seconds of silence, after which somebody may want to look at the microphone
const LIVE = "Live. Words appear as they are understood; a turn gets its label when its speaker pauses.";
const FINISHING = "Finishing: the service hears the rest…";

/** Record, and speak to the service meanwhile, until the person finishes or deletes it.
 *  @param asked as for a recording that is sent. @param shown called once the microphone is open.
 *  @returns its sound as a file, and the id of its job; null for that where the service did not
 *      follow live, and the file must be sent; null for all where it was deleted.
 *  @throws Problem where there is no microphone. */
export async function speak(asked, shown) {
  const name = `recording ${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`;
  const chosen = ["max_pause", "num_speakers"].filter((field) => asked[field]).map((field) => [field, Number(asked[field])]);
  const call = new Call({ name, ...Object.fromEntries(chosen), words: true, unaligned: true, waveform: true }), over = new AbortController();
  const view = new LiveView(call, over.signal);
  const stop = await openMicrophone((piece, loudest) => view.hear(piece, loudest), () => view.gone());
  try {
    shown();
    call.open();
    const job = await view.run(stop);
    return job === undefined ? null : { job, file: call.sound.file(`${name}.wav`) };
  } finally {
    over.abort();
    await stop();
  }
}

class LiveView {
  #alone = false;  // the service does not follow: the sound is sent at the end
  #apart = false;
  #finished = false;
  #heard = 0;
  #silent = 0;

  constructor(call, signal) {
    this.call = call;
    this.turns = new LiveTurns($("live-turns"), $("live-said"));
    this.on = (target, kind, act) => target.addEventListener(kind, act, { signal });
    for (const id of ["finish", "live-stop"]) $(id).disabled = false;
    $("finish").textContent = "Finish";
    $("live-send").hidden = true;
    this.#state("Connecting…");
  }

  #state(text) { $("live-state").textContent = text; }

  /** @param stop closes the microphone. @returns the job's id, null for none, undefined if deleted. */
  run(stop) {
    const { call, on } = this;
    this.stop = stop;
    return new Promise((resolve) => {
      this.resolve = resolve;
      on(call, "ready", ({ detail }) => this.#ready(detail));
      on(call, "words", ({ detail }) => this.turns.words(detail.words));
      on(call, "turn", ({ detail }) => this.turns.turn(detail.number, detail.turn));
      on(call, "lost", ({ detail }) => this.#lost(detail));
      on(call, "restart", () => {
        this.turns.clear();
        this.#apart = false;
        say("The service has lost this call. All that was said is sent once more, and its turns come anew.");
      });
      on(call, "refused", ({ detail }) => this.#refused(detail));
      on(call, "job", ({ detail }) => {
        if (!this.#finished) say("This is as long as a live call may be: it was finished.");
        call.close();
        resolve(detail.job);
      });
      on($("finish"), "click", () => this.finish());
      on($("live-send"), "click", () => { call.forget(); resolve(null); });
      on($("live-stop"), "click", () => {
        say(call.forget() ? "It was deleted." : "It was deleted here; the service forgets it within a minute.");
        resolve(undefined);
      });
    });
  }

  async finish() {
    if (this.#finished) return;
    this.#finished = true;
    $("finish").disabled = true;
    await this.stop();
    if (!this.#alone) this.#state(FINISHING);
    if (!this.call.sound.length) {
      this.call.forget();
      say("Nothing was recorded.");
      this.resolve(undefined);
    }
    else if (this.#alone) this.resolve(null);
    else this.call.end();
  }

  hear(piece, loudest) {
    this.call.hear(piece);
    const { seconds } = this.call.sound;
    $("live-clock").textContent = clock(Math.floor(seconds), 0);
    $("level").value = Math.max(0, 1 + Math.log10(loudest + 1e-9) / 3);  // 60 dB
    this.#heard = Math.max(loudest, 0.9 * this.#heard);
    this.#silent = loudest < SILENT ? this.#silent + piece.length : 0;
    const silent = this.call.sound.length === this.#silent && seconds > LONG;
    const word = silent ? "Nothing is heard: is the microphone muted?"
      : this.#heard > CLIPPED ? "too loud" : this.#heard < QUIET ? "quiet" : "well heard";
    if ($("level-word").textContent !== word) $("level-word").textContent = word;
  }

  gone() {
    if (!this.#finished) this.#state("The microphone is gone. What was said is here: finish, or stop and delete it.");
  }

  #ready(told) {
    this.turns.begin(told);
    $("live-send").hidden = true;
    if (this.#apart) say("The connection is back.");
    this.#apart = false;
    this.#state(this.#finished ? FINISHING : LIVE);
  }

  #lost({ reason, seconds }) {
    this.#apart = true;
    const goes = this.#finished ? "What was said is kept here, and sent" : "Go on speaking: it is recorded here, and sent";
    this.#state(`There is no connection${reason && `: ${reason}`}. ${goes} when it is back. Next try in ${seconds} s.`);
    $("live-send").hidden = !this.#finished;
  }

  #refused(problem) {
    this.#alone = true;
    if (this.#finished) { this.resolve(null); return; }
    this.#state(`${problem.message} Nothing is lost: go on speaking, it is recorded here, and sent as a recording when you finish.`);
    $("finish").textContent = "Finish and send it";
  }
}
