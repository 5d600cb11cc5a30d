/** A recording by the microphone, sent like any file. */

import { $, clock } from "./dom.js";

const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

const REFUSED = {
  NotAllowedError: "This page may not use the microphone. Allow it in the browser's address bar, or choose a file.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "Another program is using the microphone. Close it, or choose a file.",
};

/** Let a button begin and end a recording.
 *  @param done called with the file. @param failed called with a sentence. */
export function offerMicrophone(done, failed) {
  const button = $("record");
  let recorder = null, ticking = 0;
  if (!navigator.mediaDevices || !globalThis.MediaRecorder) { button.hidden = true; return; }
  const end = () => {
    clearInterval(ticking);
    recorder = null;
    button.textContent = "Record with the microphone";
    $("recording").textContent = "";
  };
  button.addEventListener("click", async () => {
    if (recorder) { recorder.stop(); return; }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false } });
    } catch (error) { failed(REFUSED[error.name] ?? `The microphone cannot be used: ${error.message}`); return; }
    const type = TYPES.find((each) => MediaRecorder.isTypeSupported(each)) ?? "";
    const parts = [], began = Date.now();
    recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      const kind = recorder.mimeType.split(";")[0], ending = { "audio/mp4": "m4a", "audio/ogg": "ogg" }[kind] ?? "webm";
      const name = `recording ${new Date(began).toISOString().slice(0, 19).replaceAll(":", "-")}.${ending}`;
      end();
      done(new File(parts, name, { type: kind }));
    };
    recorder.start(1000);
    button.textContent = "Stop recording";
    const tick = () => { $("recording").textContent = `Recording ${clock((Date.now() - began) / 1000, 0)}`; };
    tick();
    ticking = setInterval(tick, 1000);
  });
}
