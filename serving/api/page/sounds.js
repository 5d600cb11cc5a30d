/** Recordings that were sent, kept in this browser so that a reload need not ask for them again.
 *
 *  They lie in IndexedDB, by the job's id, for a day at most; "Delete it" deletes one at once. */

const DAY = 24 * 3600 * 1000;
let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("moodline", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("sounds");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function within(mode, work) {
  const store = (await database()).transaction("sounds", mode).objectStore("sounds");
  return new Promise((resolve, reject) => {
    const request = work(store);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Keep a file; a browser that has no room for it, or that keeps nothing, does without. */
export async function keepSound(id, file) {
  try {
    await within("readwrite", (store) => store.put({ file, name: file.name, time: Date.now() }, id));
  } catch (error) { console.warn("the sound is not kept:", error); }
}

/** The file of a job, or null. */
export async function soundOf(id) {
  try {
    const kept = await within("readonly", (store) => store.get(id));
    return kept ? new File([kept.file], kept.name, { type: kept.file.type }) : null;
  } catch { return null; }
}

export async function forgetSound(id) {
  try { await within("readwrite", (store) => store.delete(id)); } catch { /* there is none */ }
}

export async function forgetOldSounds() {
  try {
    const ids = await within("readonly", (store) => store.getAllKeys());
    for (const id of ids) {
      const kept = await within("readonly", (store) => store.get(id));
      if (kept && Date.now() - kept.time > DAY) await forgetSound(id);
    }
  } catch { /* this browser keeps nothing */ }
}
