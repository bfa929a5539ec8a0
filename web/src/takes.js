// Takes that the gateway does not have yet, in IndexedDB: a reload, a crash or a lost connection
// takes nothing from the guest. A take goes when the gateway has it, when the guest deletes it, and
// after a day, when its key is no protection against a double any more.

import { pause } from "./gateway.js";

const KEEP_MS = 24 * 3_600_000;
/** A store that does not answer is none: the guest is not kept waiting for it. */
const ANSWER_MS = 3_000;
/** What it has kept may take longer to come, for nobody waits for it. */
const OFFER_MS = 30_000;
const READING = "readonly";
const KEEPING = "keeping";

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("voicepost", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("takes", { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
}

/** Whether the store has left a request unanswered, and none has been answered since. */
let silent = false;

async function run(mode, action, limitMs = ANSWER_MS) {
  if (silent && mode === KEEPING) throw new Error("no answer");
  let over = false;
  const done = change(mode === READING ? mode : "readwrite", action).then((result) => {
    silent = false;
    return result;
  }).finally(() => (over = true));
  const late = pause(silent ? 0 : limitMs).then(() => {
    if (!over) silent = true;
    throw new Error("no answer");
  });
  return Promise.race([done, late]);
}

async function change(mode, action) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const change = database.transaction("takes", mode, { durability: "strict" });
      const request = action(change.objectStore("takes"));
      change.oncomplete = () => resolve(request.result);
      change.onabort = () => reject(change.error);
      change.onerror = () => reject(change.error);
    });
  } finally {
    database.close();
  }
}

/** Whether two scopes are of different people; what is not known of one of them is no difference. */
export function isOther(one, other) {
  const parts = other?.split("\n");
  return Boolean(one && parts)
    && one.split("\n").some((part, at) => part && parts[at] && part !== parts[at]);
}

/** Keeps a take: as the recorder has it. Rejects where the browser has no room, or gives none. */
export async function keep(take) {
  // As bytes: some browsers keep no Blob in private windows.
  const bytes = await take.blob.arrayBuffer();
  const { key, scope, to, ms, at, transcript, fields } = take;
  if (!scope) throw new Error("whose it is is not known");
  return run(KEEPING, (takes) => {
    return takes.put({
      key, scope, to, bytes, type: take.blob.type, ms, at, transcript, fields,
    });
  });
}

/** Lets go of a take; where the store is slow, later. */
export const drop = (key) => run("readwrite", (takes) => takes.delete(key)).catch(() => {});

/**
 * The newest take of this scope that no other tab has in hand, with `release()`, which lets go of
 * it; `undefined` where there is none.
 */
export async function find(scope) {
  try {
    if (!scope) return undefined;
    const all = await run(READING, (takes) => takes.getAll(), OFFER_MS);
    const old = Date.now() - KEEP_MS;
    all.filter((take) => take.at < old).forEach((take) => drop(take.key));
    const mine = all.filter((take) => take.scope === scope && take.at >= old && take.bytes.byteLength);
    for (const { bytes, type, ...take } of mine.sort((a, b) => b.at - a.at)) {
      const release = await claim(take.key);
      if (release) return { ...take, blob: new Blob([bytes], { type }), release };
    }
  } catch {
    // Without a store there is nothing to offer.
  }
  return undefined;
}

/** Takes a key in hand as this tab; `undefined` where another has it. */
export function claim(key) {
  if (!navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    navigator.locks.request(`voicepost ${key}`, { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(undefined);
      return new Promise((release) => resolve(release));
    }).catch(() => resolve(() => {}));
  });
}
