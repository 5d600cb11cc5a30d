/** The microphone as 16-bit samples, 16,000 a second, as it is spoken. */

import { Problem } from "./api.js";
import { wait } from "./dom.js";

export const RATE = 16000;

const REFUSED = {
  NotAllowedError: ["this page may not use the microphone", "Allow it in the browser's address bar, or choose a file."],
  NotFoundError: ["no microphone was found", "Connect one, or choose a file."],
  NotReadableError: ["another program is using the microphone", "Close it, or choose a file."],
};

export const hasMicrophone = () => Boolean(navigator.mediaDevices && globalThis.AudioWorkletNode);

/** Open it.
 *  @param heard called ten times a second with an Int16Array, and how loud it was at most (0 … 1).
 *  @param gone called when it is taken away.
 *  @returns `stop`, which resolves when the last sample was heard.
 *  @throws Problem where there is none, or it may not be used. */
export async function openMicrophone(heard, gone) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false } });
  } catch (error) {
    const [reason, next] = REFUSED[error.name] ?? [`the microphone cannot be used: ${error.message}`, "Choose a file."];
    throw Object.assign(new Problem(400, reason), { next });
  }
  try {
    return await record(stream, heard, gone);
  } catch (error) {
    for (const track of stream.getTracks()) track.stop();
    throw Object.assign(new Problem(0, `the microphone cannot be listened to: ${error.message}`), { next: "Reload the page, or choose a file." });
  }
}

async function record(stream, heard, gone) {
  const { context, source } = joined(stream);
  await context.audioWorklet.addModule(new URL("recorder.js", import.meta.url));
  const recorder = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
  source.connect(recorder).connect(context.destination);  // it gives silence; what leads nowhere is not run
  for (const track of stream.getTracks()) track.addEventListener("ended", gone);
  const awake = () => context.resume();  // a telephone puts it to sleep with its screen
  document.addEventListener("visibilitychange", awake);
  await awake();
  let ended;
  const last = new Promise((resolve) => { ended = resolve; });
  recorder.port.onmessage = ({ data }) => {
    heard(data.sound, data.loudest);
    if (data.last) ended();
  };
  const stop = async () => {
    recorder.port.postMessage("stop");
    await Promise.race([last, wait(1000)]);  // a sleeping one does not answer
    document.removeEventListener("visibilitychange", awake);
    for (const track of stream.getTracks()) track.stop();
    await context.close();
  };
  let stopped = null;
  return () => stopped ??= stop();
}

/** A stream in an audio context of our rate; where the browser joins them only at the device's
 *  own, of that one, and the recorder resamples. */
function joined(stream) {
  for (const options of [{ sampleRate: RATE }, {}]) {
    const context = new AudioContext(options);
    try {
      return { context, source: context.createMediaStreamSource(stream) };
    } catch (error) {
      context.close();
      if (error.name !== "NotSupportedError" || !options.sampleRate) throw error;
    }
  }
}

/** Sound that grows: all that was said, so that any of it can be sent again. */
export class Sound {
  #samples = new Int16Array(60 * RATE);
  length = 0;

  add(piece) {
    if (this.length + piece.length > this.#samples.length) {
      const larger = new Int16Array(2 * this.#samples.length);
      larger.set(this.#samples);
      this.#samples = larger;
    }
    this.#samples.set(piece, this.length);
    this.length += piece.length;
  }

  get seconds() { return this.length / RATE; }

  part(from, to) { return this.#samples.subarray(from, Math.min(to, this.length)); }

  /** A WAV file of it. */
  file(name) {
    const bytes = 2 * this.length, head = new DataView(new ArrayBuffer(44));
    const text = (at, letters) => [...letters].forEach((letter, place) => head.setUint8(at + place, letter.charCodeAt(0)));
    text(0, "RIFF");
    head.setUint32(4, 36 + bytes, true);
    text(8, "WAVEfmt ");
    head.setUint32(16, 16, true);
    head.setUint16(20, 1, true);  // PCM
    head.setUint16(22, 1, true);  // one channel
    head.setUint32(24, RATE, true);
    head.setUint32(28, 2 * RATE, true);
    head.setUint16(32, 2, true);
    head.setUint16(34, 16, true);
    text(36, "data");
    head.setUint32(40, bytes, true);
    return new File([head, this.part(0, this.length)], name, { type: "audio/wav" });
  }
}
