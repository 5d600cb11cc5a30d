/** Choose a recording: by a button, dropped, spoken, or the example. */

import { ask, Problem } from "./api.js";
import { $, settings } from "./dom.js";
import { hasMicrophone } from "./microphone.js";

/** @param send called with a file and what is asked. @param speak called with what is asked.
 *  @param failed called with a `Problem`.
 *  @returns `choose`, which puts a file into the form. */
export function offerUpload(send, speak, failed) {
  let file = null;
  const asked = () => ({
    num_speakers: $("channels").checked ? "" : $("speakers").value, max_pause: $("pause").value,
    channels: $("channels").checked ? "true" : "",
  });
  const choose = (chosen) => {
    if (!chosen) return;
    file = chosen;
    $("chosen").textContent = chosen.name;
    $("go").disabled = false;
  };
  $("file").addEventListener("change", (event) => choose(event.target.files[0]));
  $("channels").addEventListener("change", () => { $("speakers").disabled = $("channels").checked; });
  for (const kind of ["dragover", "dragenter"])
    $("drop").addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
  for (const kind of ["dragleave", "drop"])
    $("drop").addEventListener(kind, () => $("drop").classList.remove("over"));
  $("drop").addEventListener("drop", (event) => {
    event.preventDefault();
    choose(event.dataTransfer.files[0]);
    if (file) $("form").requestSubmit();
  });
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (file) send(file, asked());
  });
  $("record").hidden = !hasMicrophone();
  $("record").addEventListener("click", () => $("form").reportValidity() && speak(asked()));
  $("example").hidden = !$("example").dataset.there;
  $("example").addEventListener("click", async () => {
    try {
      const sound = await (await ask(`page/${settings.page}/example.wav`)).blob();
      send(new File([sound], "example.wav", { type: "audio/wav" }), { ...asked(), num_speakers: "2" });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      failed(error);
    }
  });
  return { choose };
}
