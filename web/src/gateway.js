// The gateway's HTTP: one upload with progress, and how the message stands afterwards.

import { fileName } from "./limits.js";

const WAIT_SECONDS = 5;
const STALL_MS = 60_000;
const POLL_MS = [1_000, 1_500, 2_500, 4_000, 6_000, 10_000];

/** What went wrong: a `code`, whether a repeat can help, and after how long. */
export class Trouble extends Error {
  constructor(code, { status = 0, retryable = false, retryAfterMs, detail, id } = {}) {
    super(detail ?? code);
    Object.assign(this, { code, status, retryable, retryAfterMs, id });
  }
}

/** The trouble of an answer that is no 2xx. */
function troubleOf(status, text, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // A proxy's page, most likely.
  }
  const seconds = Number(retryAfter);
  return new Trouble(problem.code ?? (status === 401 ? "unauthorized" : `status-${status}`), {
    status,
    retryable: problem.retryable ?? (status >= 500 || status === 408 || status === 429),
    retryAfterMs: seconds > 0 ? Math.min(seconds, 60) * 1000 : undefined,
    detail: problem.detail,
    id: problem.id,
  });
}

/** Sends a take. Resolves to the receipt; rejects with [`Trouble`]. */
export function upload({ gateway, token, take, signal, progress }) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) throw new Trouble("aborted");
    const form = new FormData();
    for (const [name, value] of Object.entries(take.fields)) if (value) form.append(name, value);
    form.append("file", take.blob, fileName(take.blob.type));
    const request = new XMLHttpRequest();
    request.open("POST", `${gateway}/v1/voice-messages`);
    request.setRequestHeader("Idempotency-Key", take.key);
    request.setRequestHeader("Prefer", `wait=${WAIT_SECONDS}`);
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    let stalled;
    const moved = () => {
      clearTimeout(stalled);
      stalled = setTimeout(() => request.abort(), STALL_MS);
    };
    moved();
    request.upload.onprogress = ({ loaded, total }) => {
      moved();
      progress(loaded, total);
    };
    const lost = () => reject(new Trouble("offline", { retryable: true }));
    request.onerror = lost;
    request.onabort = () => signal.aborted ? reject(new Trouble("aborted")) : lost();
    request.onloadend = () => clearTimeout(stalled);
    request.onload = () => {
      const { status, responseText } = request;
      if (status !== 201 && status !== 202) {
        reject(troubleOf(status, responseText, request.getResponseHeader("Retry-After")));
        return;
      }
      try {
        resolve(JSON.parse(responseText));
      } catch {
        lost();
      }
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/**
 * Follows a message until `tell(kind, data)` says that it is enough: by its event stream, and by
 * asking again and again where that is not to be had. `ask(path, headers)` does the request.
 * Resolves to `false` where the gateway does not tell: it forgot the message, or refuses the token.
 */
export async function follow({ id, ask, tell, signal }) {
  let last = "";
  let calm = 0;
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const answer = await ask(`/v1/voice-messages/${id}/events`, headers);
      if (isFinal(answer.status)) return false;
      if (answer.status === 204) return true;
      if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
      for await (const event of events(answer.body)) {
        last = event.id || last;
        calm = 0;
        if (event.data && tell(event.kind, JSON.parse(event.data))) return true;
      }
    } catch {
      if (signal.aborted) return true;
    }
    // The stream ended before it was enough, or there is none: look, wait, and try once more.
    try {
      const answer = await ask(`/v1/voice-messages/${id}`, {});
      if (isFinal(answer.status)) return false;
      if (answer.ok && tell("status", await answer.json())) return true;
    } catch {
      if (signal.aborted) return true;
    }
    await pause(POLL_MS[Math.min(calm, POLL_MS.length - 1)], signal);
    calm += 1;
  }
  return true;
}

/** Refusals that asking again does not change. */
const isFinal = (status) => [401, 403, 404].includes(status);

/** Server-sent events of a body. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const event = { id: "", kind: "message", data: "" };
        for (const line of block.split(/\r?\n/)) {
          const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
          if (name === "id") event.id = value;
          if (name === "event") event.kind = value;
          if (name === "data") event.data += value;
        }
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Resolves once nobody wants it any more. */
export const aborted = (signal) => new Promise((resolve) => {
  signal.addEventListener("abort", resolve, { once: true });
});

/** Waits, or ends early where it is not wanted any more. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
