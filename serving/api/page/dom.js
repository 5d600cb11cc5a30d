/** Small helpers: elements, times, words. Text from recordings goes in by textContent, always. */

export const $ = (id) => document.getElementById(id);

/** An element with properties and children; a string child becomes text, never markup. */
export function make(tag, properties = {}, ...children) {
  const { data = {}, ...own } = properties;
  const element = Object.assign(document.createElement(tag), own);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

/** The same for SVG; attributes in place of properties. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function clock(seconds, digits = 1) {
  const whole = Math.max(0, seconds), hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60, rest = (whole % 60).toFixed(digits);
  const two = (text) => String(text).padStart(2, "0");
  const short = digits ? rest.padStart(3 + digits, "0") : two(rest);
  return hours ? `${hours}:${two(minutes)}:${short}` : `${minutes}:${short}`;
}

export const count = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;
export const percent = (share) => `${Math.round(100 * share)} %`;
export const sentence = (text) =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

export const speakerName = (label) => label === "unknown" ? "Somebody"
  : label.replace(/^SPEAKER_0*(\d+)$/, (_, n) => `Speaker ${Number(n) + 1}`)
    .replace(/^CHANNEL_(\d+)$/, (_, n) => `Channel ${n}`);

const meta = (name) => document.querySelector(`meta[name="moodline-${name}"]`);
const doubt = meta("doubt").dataset;
export const settings = {
  page: meta("page").content,
  nonce: meta("nonce").content || meta("nonce").nonce,
  places: Number(meta("places").content),
  doubtful: { speaker: Number(doubt.speaker), label: Number(doubt.label), word: Number(doubt.word) },
};

/** Say something, to eyes and to screen readers. */
let silence = 0;
export function say(text) {
  $("said").textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { $("said").textContent = ""; }, 6000);
}

/** Give an element the colour and the pattern of a label's place among the version's labels. */
export function coloured(element, place) {
  if (place < 0) return element;
  element.style.setProperty("--hue", `var(--label-${place % settings.places})`);
  element.dataset.pattern = String(place % 6);
  return element;
}

export function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
