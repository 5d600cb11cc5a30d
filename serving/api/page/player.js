/** The sound and its waveform: wavesurfer.js draws the outline that the service gave.
 *
 *  Events: `time` (while it plays and after a seek), `view` (what is seen of the recording changed). */

import WaveSurfer from "./vendor/wavesurfer.esm.js";
import ZoomPlugin from "./vendor/zoom.esm.js";
import { $, clock, say, settings } from "./dom.js";

const MOST_PIXELS = 200;  // a second

export class Player extends EventTarget {
  #url = null;
  #surfer = null;
  #frame = 0;

  constructor() {
    super();
    const audio = this.audio = $("audio");
    $("play").addEventListener("click", () => this.toggle());
    $("speed").addEventListener("change", () => { audio.playbackRate = Number($("speed").value); });
    $("in").addEventListener("click", () => this.zoom(this.pixels() * 2));
    $("out").addEventListener("click", () => this.zoom(this.pixels() / 2));
    $("fit").addEventListener("click", () => this.zoom(0));
    for (const kind of ["play", "pause", "ended"]) audio.addEventListener(kind, () => this.#playing());
    audio.addEventListener("error", () => {
      if (!this.hasSound) return;
      $("play").disabled = true;
      say("This browser cannot play this kind of file. All that was found in it is here all the same.");
    });
    for (const kind of ["seeked", "loadedmetadata"]) audio.addEventListener(kind, () => this.#tell());
  }

  /** Show a conversation. @param file its sound, or null. */
  show(conversation, file) {
    this.close();
    this.duration = conversation.duration;
    const outline = conversation.answer.waveform;
    this.#url = file ? URL.createObjectURL(file) : null;
    if (this.#url) this.audio.src = this.#url; else this.audio.removeAttribute("src");
    this.audio.playbackRate = Number($("speed").value);
    $("silent").hidden = Boolean(file);
    $("play").disabled = !file;
    this.#surfer = WaveSurfer.create({
      container: $("waveform"), media: this.audio, height: 72, cspNonce: settings.nonce,
      peaks: [outline?.peaks?.length ? outline.peaks.map((peak) => peak / 100) : [0, 0]], duration: this.duration,
      waveColor: resolved("--wave"), progressColor: resolved("--accent"), cursorColor: resolved("--ink"),
      barWidth: 2, barGap: 1, barRadius: 1, normalize: true, hideScrollbar: true, autoScroll: $("follow").checked,
      autoCenter: !matchMedia("(prefers-reduced-motion: reduce)").matches, dragToSeek: true,
      plugins: [ZoomPlugin.create({ maxZoom: MOST_PIXELS, exponentialZooming: true })],
    });
    const seen = () => this.dispatchEvent(new Event("view"));
    for (const kind of ["scroll", "zoom", "redraw", "resize", "ready"]) this.#surfer.on(kind, seen);
    this.#surfer.on("interaction", () => this.play());
    this.#tell();
  }

  close() {
    this.pause();
    this.#surfer?.destroy();
    this.#surfer = null;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
  }

  follow(on) { this.#surfer?.setOptions({ autoScroll: on }); }

  get time() { return this.audio.currentTime || 0; }
  get hasSound() { return this.#url !== null; }

  play() { if (this.hasSound) this.audio.play().catch(() => {}); }
  pause() { this.audio.pause(); }
  toggle() { if (this.audio.paused) this.play(); else this.pause(); }

  /** Go to a time, and play from there. */
  playFrom(time) {
    if (!this.hasSound) return;
    this.audio.currentTime = Math.min(time, this.duration);
    this.play();
  }

  /** Pixels of a second, as it is drawn now. */
  pixels() {
    const wrapper = this.#surfer?.getWrapper();
    return wrapper ? wrapper.clientWidth / this.duration : 0;
  }

  /** The width of what is seen, and its first second. */
  view() {
    if (!this.#surfer) return { width: 0, first: 0, pixels: 1 };
    const pixels = this.pixels() || 1;
    return { width: this.#surfer.getWidth(), first: this.#surfer.getScroll() / pixels, pixels };
  }

  zoom(pixels) {
    if (!this.#surfer) return;
    const least = this.#surfer.getWidth() / this.duration;
    const middle = this.view().first + this.#surfer.getWidth() / 2 / this.pixels();
    this.#surfer.zoom(Math.min(MOST_PIXELS, Math.max(pixels, least)));
    this.scrollTo(middle - this.#surfer.getWidth() / 2 / this.pixels());
    this.dispatchEvent(new Event("view"));
  }

  scrollTo(seconds) { this.#surfer?.setScroll(Math.max(0, seconds * this.pixels())); }

  #playing() {
    const on = !this.audio.paused;
    $("play").textContent = on ? "⏸" : "▶";
    $("play").setAttribute("aria-label", on ? "Pause" : "Play");
    cancelAnimationFrame(this.#frame);
    const step = () => {
      this.#tell();
      if (!this.audio.paused) this.#frame = requestAnimationFrame(step);
    };
    step();
  }

  #tell() {
    $("clock").textContent = `${clock(this.time)} / ${clock(this.duration ?? 0)}`;
    this.dispatchEvent(new Event("time"));
  }
}

/** A colour of the style, as a canvas understands it. */
export function resolved(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
