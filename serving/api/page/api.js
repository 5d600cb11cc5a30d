/** Requests to the service: keys, errors as a sentence and a next step. */

import { $, sentence } from "./dom.js";

const KEY = "moodline-key";
let asking = null;

/** What went wrong, in a sentence, and what to do next. */
export class Problem extends Error {
  constructor(status, reason, retry = 0) {
    super(sentence(reason));
    this.status = status;
    this.retry = retry;  // seconds after which to ask again, where the service said so
    this.next = NEXT[status] ?? (status >= 500 ? "Try again; if it goes on, tell the operator." : "");
  }
}

const NEXT = {
  0: "Check your connection, then try again. Nothing that was sent is lost.",
  400: "Choose another file.",
  401: "Enter a key that the operator gave you.",
  404: "Results are kept for a day as a rule. Send the recording again.",
  408: "Try again with a better connection.",
  413: "Send a shorter or a smaller file.",
  415: "Choose a recording: WAV, FLAC, Ogg, MP3, M4A or WebM.",
  422: "Change that, and try again.",
  429: "Others are being served. Try again in a moment.",
};

/** The key of this tab, or null. */
export const apiKey = () => sessionStorage.getItem(KEY);

const headers = () => {
  const key = apiKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
};

/** Ask for an API key; true once there is a new one. Requests that wait share one dialog. */
export function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = $("key-dialog");
    const end = (given) => { asking = null; dialog.close(); resolve(given); };
    $("key-form").onsubmit = (event) => {
      event.preventDefault();
      // A header holds no other characters: no request could be sent, and nobody would ask again.
      sessionStorage.setItem(KEY, $("key").value.replace(/[^\x21-\x7e]/g, "") || "-");
      $("key").value = "";
      end(true);
    };
    $("key-cancel").onclick = dialog.oncancel = () => end(false);
    if (apiKey())
      $("key-why").textContent = "The service does not know that key. Look at it again.";
    dialog.showModal();
  });
  return asking;
}

const problem = (status, told, retry) =>
  new Problem(status, told?.detail ?? `the service answered ${status}`, Number(retry) || 0);

/** A response of the service.
 *  @throws Problem where it refuses, or cannot be reached. */
export async function ask(path, { json, ...options } = {}) {
  if (json !== undefined)
    options = { method: "POST", body: JSON.stringify(json), ...options, headers: { "Content-Type": "application/json" } };
  for (;;) {
    let response;
    try {
      response = await fetch(path, { ...options, headers: { ...options.headers, ...headers() } });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new Problem(0, "the service cannot be reached");
    }
    if (response.ok) return response;
    if (response.status === 401 && await askForKey()) continue;
    throw problem(response.status, await response.json().catch(() => null), response.headers.get("Retry-After"));
  }
}

export const askJson = async (path, options) => (await ask(path, options)).json();

/** Send a form; fetch tells no progress of an upload, so this is an XMLHttpRequest.
 *  @param report called with the share that is sent. */
export async function upload(path, form, report, signal) {
  for (;;) {
    const sent = await send(path, form, report, signal);
    if (sent.status >= 200 && sent.status < 300) return sent.response;
    if (sent.status === 401 && await askForKey()) continue;
    throw problem(sent.status, sent.response, sent.getResponseHeader("Retry-After"));
  }
}

function send(path, form, report, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && report(event.loaded / event.total);
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Problem(0, "the connection was lost while the recording was sent"));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}
