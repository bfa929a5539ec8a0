// A take on its way: tried again where that can help, with a new token where the last was refused, and
// followed once the gateway has it.

import { Trouble, aborted, follow, pause, upload } from "./gateway.js";
import { isOther } from "./takes.js";

const TRIES = 4;
const RETRY_MS = 1_000;
/** A guest who waits longer than this is told so instead. */
const RETRY_MS_MAX = 8_000;
/** Each takes a connection, and a browser has few for one address. */
const FOLLOWED_MAX = 3;

export class Delivery {
  #page;
  /** Messages that are followed, the oldest first. */
  #followed = [];

  /** `page`: `gateway()`, `scope()`, and `token(renew)`. */
  constructor(page) {
    this.#page = page;
  }

  /** Resolves to the receipt; rejects with [`Trouble`]. */
  async upload(take, signal, progress) {
    let renewed = false;
    for (let turn = 1; ; turn += 1) {
      try {
        const token = await Promise.race([this.#token(renewed), aborted(signal)]);
        // A new token may be another guest's: in their name nothing of this one goes out.
        if (isOther(await take.scope, await this.#page.scope())) throw new Trouble("other-guest");
        return await upload({ gateway: this.#page.gateway(), token, take, signal, progress });
      } catch (trouble) {
        if (!(trouble instanceof Trouble) || signal.aborted) throw trouble;
        // A stored failure is the answer to this key for ever.
        if (trouble.id && trouble.code !== "in-progress") throw trouble;
        // Refused bytes are not given: until the next try the guest may take the message back.
        if (trouble.status && trouble.code !== "in-progress") progress(0, take.blob.size);
        if (trouble.status === 401 && !renewed) {
          renewed = true;
        } else {
          const wait = trouble.retryAfterMs ?? RETRY_MS * 2 ** (turn - 1);
          const again = trouble.retryable && turn < TRIES && wait <= RETRY_MS_MAX;
          if (!again || !navigator.onLine) throw trouble;
          await pause(wait, signal);
        }
      }
    }
  }

  /** The page's token. Where it fails to give one, that is the connection, or the session's end. */
  #token(renew) {
    return this.#page.token(renew).catch(() => {
      const ended = renew && navigator.onLine;
      throw new Trouble(ended ? "unauthorized" : "offline", { retryable: !ended });
    });
  }

  /** What becomes of a message is told until `tell` says that it is over, beyond the next take.
   * Resolves to `false` where there is nothing to be learned any more. */
  async follow(id, tell) {
    const until = new AbortController();
    this.#followed.push(until);
    if (this.#followed.length > FOLLOWED_MAX) this.#followed.shift().abort();
    const { signal } = until;
    const ask = (path, headers) => this.#ask(path, headers, signal);
    const over = await follow({ id, ask, tell, signal });
    this.#followed = this.#followed.filter((one) => one !== until);
    return over;
  }

  /** Follows nothing any more. */
  leave() {
    this.#followed.forEach((until) => until.abort());
  }

  async #ask(path, headers, signal) {
    const gateway = this.#page.gateway();
    const once = async (renew) => {
      const token = await this.#page.token(renew);
      const authorized = token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
      return fetch(gateway + path, { headers: authorized, cache: "no-store", signal });
    };
    const answer = await once(false);
    return answer.status === 401 ? once(true) : answer;
  }
}
