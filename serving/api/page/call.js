/** A live call: sound goes to the service as it is spoken, what is heard in it comes back.
 *
 *  All that was said stays here. Where the connection breaks, the call goes on by its id from the
 *  sample that the service has; where the service knows it no more, from the first one.
 *
 *  Events, each with what is told in `detail`: `ready`, `words`, `turn`, `job` (as the service sends
 *  them); `lost` (a sentence, and the seconds until the next try); `restart` (a sentence: what was
 *  shown is void); `refused` (a `Problem`: there is no live call, but the sound is whole). */

import { apiKey, askForKey, Problem } from "./api.js";
import { Sound } from "./microphone.js";

const FRAME = 16000;  // samples that are sent at once, at most
const AHEAD = 4 * 2 * FRAME;  // bytes that may wait in the browser
const BEAT = 200;  // milliseconds from one look at the connection to the next
const PATIENCE = 30_000;  // milliseconds without an answer, or with bytes that do not leave
const LONGEST_WAIT = 16_000;  // the service keeps a call for a minute
const KEPT = 60_000;
const TRIES = 5;  // before the first answer: perhaps something on the way lets no such connection through

export class Call extends EventTarget {
  sound = new Sound();
  id = null;
  #seen = 0;
  #sent = 0;
  #tries = 0;
  #socket = null;
  #ready = false;
  #reached = false;
  #error = null;
  #ending = null;  // "end" or "forget", once asked for
  #told = false;
  #over = false;
  #timer = 0;

  /** @param asked what `start` says beside the key. */
  constructor(asked) {
    super();
    this.asked = asked;
  }

  open() {
    this.beat = setInterval(() => this.#look(), BEAT);
    this.online = () => this.#ready || this.#connect();
    this.offline = () => this.#lose("the network has gone");
    addEventListener("online", this.online);
    addEventListener("offline", this.offline);
    this.#connect();
  }

  hear(piece) {
    this.sound.add(piece);
    this.#flush();
  }

  /** All was said; `job` follows. */
  end() {
    this.#ending = "end";
    this.#flush();
  }

  /** Nothing shall be kept. Where the connection is lost, the service is told when it is back, or
   *  forgets by itself. @returns whether it was told. */
  forget() {
    this.#ending = "forget";
    if (!this.id) this.close();
    else if (this.#ready) this.#forget();
    else setTimeout(() => this.close(), KEPT);
    return this.#over;
  }

  close() {
    this.#leave();
    this.#socket?.close(1000);
  }

  #leave() {
    this.#over = true;
    clearInterval(this.beat);
    clearTimeout(this.#timer);
    removeEventListener("online", this.online);
    removeEventListener("offline", this.offline);
  }

  /** The service closes the connection once it has forgotten. */
  #forget() {
    this.#leave();
    this.#socket.send('{"type": "forget"}');
  }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  #connect() {
    clearTimeout(this.#timer);
    this.#drop();
    if (this.#over) return;
    const url = new URL("v1/live", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = this.#socket = new WebSocket(url);
    this.#error = null;
    this.#told = false;
    this.given = this.left = 0;  // bytes, to this socket and out of it
    this.moved = Date.now();
    socket.onopen = () => {
      const again = this.id ? { id: this.id, seen: this.#seen } : {}, key = apiKey();
      socket.send(JSON.stringify({ type: "start", ...this.asked, ...(key && { key }), ...again }));
    };
    socket.onmessage = ({ data }) => this.#answer(JSON.parse(data));
    socket.onclose = ({ code }) => this.#closed(code);
  }

  #answer(told) {
    this.moved = Date.now();
    if (told.seq) {
      if (told.seq <= this.#seen) return;
      this.#seen = told.seq;
    }
    if (told.type === "ready") this.#begin(told);
    else if (told.type === "error" || told.type === "restart") this.#error = told;
    else this.#tell(told.type, told);
  }

  #begin(told) {
    this.id = told.id;
    this.#sent = told.samples;
    this.#tries = 0;
    this.#ready = this.#reached = true;
    if (this.#ending === "forget") { this.#forget(); return; }
    this.#tell("ready", told);
    this.#flush();
  }

  /** Send what was not sent yet, but no more than the connection takes. */
  #flush() {
    const socket = this.#socket;
    if (!this.#ready) return;
    while (this.#sent < this.sound.length && socket.bufferedAmount < AHEAD) {
      const part = this.sound.part(this.#sent, this.#sent + FRAME);
      socket.send(part);
      this.#sent += part.length;
      this.given += part.byteLength;
    }
    if (this.#ending === "end" && !this.#told && this.#sent === this.sound.length) {
      this.#told = true;
      socket.send('{"type": "end"}');
    }
  }

  /** A connection can be dead without anybody saying so. */
  #look() {
    const { bufferedAmount } = this.#socket ?? {};
    if (bufferedAmount === undefined) return;
    const left = this.given - bufferedAmount;
    if (this.#ready && (bufferedAmount === 0 || left > this.left)) this.moved = Date.now();
    this.left = left;
    if (Date.now() - this.moved > PATIENCE) this.#lose("the service does not answer");
    else this.#flush();
  }

  async #closed(code) {
    const error = this.#error, status = error?.status ?? (error?.type === "restart" ? 410 : Math.max(0, code - 4000));
    this.#drop();
    if (this.#over) return;
    if (status === 410) {
      this.id = null;
      this.#seen = 0;
      this.#tell("restart", error?.detail ?? "the service does not know this call any more");
      this.#connect();
    } else if (status === 401 && await askForKey()) this.#connect();
    else if ([0, 408, 503].includes(status) && (this.#reached || this.#tries < TRIES))
      this.#lose(error?.detail ?? "");
    else {
      this.close();
      this.#tell("refused", new Problem(status, error?.detail ?? (status ? `the service answered ${status}` : "no live connection comes about")));
    }
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** Try again, after a wait that grows. */
  #lose(reason) {
    this.#drop();
    clearTimeout(this.#timer);
    if (this.#over) return;
    const milliseconds = Math.min(LONGEST_WAIT, 500 * 2 ** this.#tries) * (0.8 + 0.4 * Math.random());
    this.#tries += 1;
    this.#timer = setTimeout(() => this.#connect(), milliseconds);
    this.#tell("lost", { reason, seconds: Math.ceil(milliseconds / 1000) });
  }
}
