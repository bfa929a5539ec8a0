// One guest's take from the microphone to the gateway: what state it is in, and what leads on.
//
//   idle → asking → recording ⇄ paused → review → sending → delivering → sent
//                                          ▲         │          │
//                                          └──── failed ◀───────┘
//
// It knows no element. The page that it is given says where to send, and is told of every change:
// `changed()` state or note, `moved()` time or progress, `level(l)`, `say(text, values, urgent)`,
// `emit(event, detail)` (false: the page has taken over).

import { Delivery } from "./delivery.js";
import { Trouble, pause } from "./gateway.js";
import { askLimits } from "./limits.js";
import { nameOf, obstacle, openMicrophone } from "./microphone.js";
import { look } from "./peaks.js";
import { claim, drop, find, isOther, keep } from "./takes.js";
import { textOf } from "./texts.js";

const LIMITS_WAIT_MS = 1_500;
const TICK_MS = 100;
/** The last bytes of an encoder come a little after the stop. */
const STOP_EARLY_MS = 120;
/** So much over the limit the gateway lets pass, unless it is told otherwise. */
const OVER_MS_MAX = 500;
const WARN_MS = 10_000;
const UNHEARD_AFTER_MS = 3_000;
const UNHEARD_LEVEL = 0.012;
const RETRY_LATER_MS = 15_000;
const CAPTION_MS = 250;
/** Passing a message on takes a second or two; after this long the guest is not kept. */
const UNCLEAR_MS = 30_000;

/** The recorders on this page: a take that one of them leaves behind is for another to offer. */
const present = new Set();

/** A key of 128 random bits; `randomUUID` is missing on insecure pages. */
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

export class Recorder {
  state = "idle";
  /** What the guest should know beside the state: `{kind, name, values}`. */
  note;
  /** What was recorded: `{key, scope, to, blob, ms, at, transcript, fields, peaks, release}`. */
  take;
  receipt;
  loaded = 0;
  total = 0;
  warned = false;

  #page;
  #limitsNow;
  #recording;
  #timer;
  #loudest = 0;
  /** The take that is being recorded again, until there is a new one. */
  #old;
  #gateway;
  #saving = Promise.resolve();
  #abort = new AbortController();
  #later;
  #delivery;
  #replies = new Set();

  constructor(page) {
    this.#page = page;
    this.#delivery = new Delivery(page);
    present.add(this);
  }

  /** Learns the limits, and offers what an earlier page could not send. */
  async start() {
    this.#learn();
    await this.#offer();
  }

  async #offer() {
    if (this.state !== "idle") return;
    const scope = await this.#page.scope();
    const take = await find(scope);
    if (!take) return;
    if (this.state !== "idle" || this.take || scope !== await this.#page.scope()) {
      return take.release();
    }
    this.take = take;
    await this.#lookAt(take);
    if (this.take !== take) return take.release();
    const at = new Date(take.at).toLocaleTimeString(this.#page.language(), {
      hour: "numeric", minute: "2-digit",
    });
    if (this.take === take && this.state === "idle") {
      this.#become("review", { kind: "info", name: "offered", values: { at } });
    }
  }

  /** The page may show another conversation, guest or gateway: a take of theirs waits for them. */
  async rescope() {
    const { take } = this;
    const scope = await this.#page.scope();
    const before = await take?.scope;
    if (take && this.take === take && !["sending", "delivering", "sent"].includes(this.state)) {
      if (isOther(before, scope)) {
        if (this.state === "asking") this.#back();
        await this.stop();
        if (this.take === take && this.state !== "stopping") await this.#putAway();
      } else if (scope && !take.fields && this.state !== "asking") {
        // Who speaks to whom may be known only now.
        Object.assign(take, { scope, to: this.#page.fields() });
        if (before !== scope && take.blob) this.#save(take);
      }
    }
    if (this.state === "idle" || this.#gateway !== this.#page.gateway()) await this.start();
  }

  async #putAway() {
    const { take } = this;
    this.#stopSending();
    this.take = undefined;
    this.#become("idle");
    await this.#saving;
    take.release?.();
  }

  #learn() {
    const gateway = this.#page.gateway();
    if (this.#gateway !== gateway) this.#limitsNow = undefined;
    this.#gateway = gateway;
    return askLimits(gateway).then((limits) => {
      if (this.#gateway === gateway) this.#limitsNow = limits;
      this.#page.moved();
      return limits;
    });
  }

  get limitMs() {
    return (this.#limitsNow?.duration_ms_max ?? 60_000);
  }

  /** How long the take is, or has become so far. */
  get ms() {
    return this.#recording ? Math.min(this.#recording.ms, this.limitMs) : this.take?.ms ?? 0;
  }

  get leftMs() {
    return Math.max(0, this.limitMs - this.ms);
  }

  async record() {
    if (!["idle", "review", "failed", "sent"].includes(this.state)) return;
    const why = obstacle();
    if (why) return this.#refuse(why);
    this.#stopSending();
    if (["review", "failed"].includes(this.state)) {
      const { take, state, note } = this;
      this.#old = { take, state, note };
    }
    this.#become("asking");
    this.#page.say("asking");
    // Asked anew where it could not be reached: it may have been the connection.
    const limits = this.#limitsNow?.known ? this.#limitsNow
      : await Promise.race([this.#learn(), pause(LIMITS_WAIT_MS).then(() => this.#limitsNow)]);
    let recording;
    try {
      recording = await openMicrophone(limits?.types ?? []);
    } catch (error) {
      if (this.state === "asking") this.#refuse(nameOf(error));
      return;
    }
    if (this.state !== "asking") {
      await recording.stop();
      return;
    }
    this.#begin(recording);
  }

  /** Whom it goes to is settled where it begins. */
  #newTake() {
    const { scope, fields } = this.#page;
    this.take = { key: newKey(), scope: scope(), to: fields(), at: Date.now(), ms: 0 };
    this.receipt = undefined;
    return this.take;
  }

  #begin(recording) {
    const take = this.#newTake();
    this.#recording = recording;
    this.#loudest = 0;
    this.warned = false;
    claim(take.key).then((release) => {
      if (this.take === take) take.release = release;
      else release?.();
    });
    recording.onpiece = () => {
      if (this.#recording === recording) {
        this.#save({ ...take, blob: recording.blob, ms: Math.round(recording.ms) });
      }
    };
    recording.onlevel = (level) => {
      this.#loudest = Math.max(this.#loudest, level);
      this.#page.level(level);
    };
    recording.oncut = () => this.#recording === recording && this.stop("cut");
    this.#timer = setInterval(() => this.#tick(recording), TICK_MS);
    this.#become("recording");
    this.#page.say("recording");
  }

  #tick(recording) {
    const { leftMs } = this;
    if (leftMs <= STOP_EARLY_MS) return this.stop("limit");
    if (!this.warned && leftMs <= Math.min(WARN_MS, this.limitMs / 2)) {
      this.warned = true;
      recording.beep(2);
      this.#page.say("left", { seconds: Math.ceil(leftMs / 1000) }, true);
      this.#page.changed();
    }
    const unheard = recording.isMetered && recording.ms > UNHEARD_AFTER_MS
      && this.#loudest < UNHEARD_LEVEL && this.state === "recording";
    if (unheard !== (this.note?.name === "unheard")) {
      this.note = unheard ? { kind: "warn", name: "unheard" } : undefined;
      if (unheard) this.#page.say("unheard");
      this.#page.changed();
    }
    this.#page.moved();
  }

  pause() {
    if (this.state !== "recording") return;
    this.#recording.pause();
    this.#become("paused");
    this.#page.say("paused");
  }

  resume() {
    if (this.state !== "paused") return;
    this.#recording.resume();
    this.#become("recording");
    this.#page.say("recording");
  }

  /** Ends the recording and keeps it; `why` where it was not the guest: `limit` or `cut`. */
  async stop(why) {
    const recording = this.#recording;
    if (this.state === "asking") return this.#back();
    if (!recording || !["recording", "paused"].includes(this.state)) return;
    clearInterval(this.#timer);
    if (why === "limit") recording.beep(3);
    this.state = "stopping";
    const { blob, ms } = await recording.stop();
    this.#recording = undefined;
    if (this.state !== "stopping") return;
    const shortest = (this.#limitsNow?.duration_ms_min ?? 100) + STOP_EARLY_MS;
    if (blob.size === 0 || ms < shortest) {
      await this.#drop(this.take);
      return this.#refuse(blob.size === 0 && ms >= shortest ? "silent" : "tooShort");
    }
    const take = Object.assign(this.take, { blob, ms: Math.round(ms) });
    let [heard] = await Promise.all([this.#lookAt(take), this.#save(take)]);
    // A page that stalled ran past its limit: without its last seconds the rest can be sent.
    while (heard?.ms > this.limitMs + OVER_MS_MAX && recording.shorten()) {
      take.blob = recording.blob;
      [heard] = await Promise.all([this.#lookAt(take), this.#save(take)]);
    }
    if (this.take !== take) return;
    this.#review(why ?? (take.silent ? "silent" : undefined));
  }

  /** Takes a clip that was not recorded here, to be listened to and sent. */
  async offer(blob, { transcript } = {}) {
    if (!["idle", "review", "failed", "sent"].includes(this.state)) return;
    await this.#forget();
    const take = Object.assign(this.#newTake(), { blob, transcript });
    await Promise.all([this.#lookAt(take), this.#save(take)]);
    if (this.take === take) this.#review(take.silent ? "silent" : undefined);
  }

  #review(why) {
    const { blob, ms, peaks } = this.take;
    const kind = why === "limit" ? "info" : "warn";
    const stored = this.note?.name === "storage" ? this.note : undefined;
    this.state = "review";
    if (this.#old) this.#drop(this.#old.take);
    this.#old = undefined;
    if (!this.#page.emit("recorded", { blob, type: blob.type, duration_ms: ms, waveform: peaks })) {
      this.#forget().then(() => this.#become("idle"));
      return;
    }
    this.#become("review", why ? { kind, name: why } : stored);
    const time = `${Math.round(ms / 1000)} s`;
    if (why) this.#page.say(why, {}, true);
    else this.#page.say("ready", { time });
    this.rescope();
  }

  /** Learns from a take's sound what it can; `undefined` where it does not decode. */
  async #lookAt(take) {
    const seen = await look(take.blob);
    if (!seen) return undefined;
    take.peaks = seen.peaks;
    take.silent = seen.silent;
    if (seen.ms > 0) take.ms = seen.ms;
    return seen;
  }

  /** The text beside the audio, kept with it while the guest writes. */
  caption(text) {
    const { take } = this;
    take.transcript = text;
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.take === take && this.#save(take), CAPTION_MS);
  }

  /** Deletes the take, on this device and for good; what the gateway has got is beyond it. */
  async discard() {
    if (this.isGiven || ["delivering", "sent"].includes(this.state)) return;
    this.#stopSending();
    clearInterval(this.#timer);
    const recording = this.#recording;
    this.#recording = undefined;
    const { take } = this;
    const had = take !== undefined;
    this.#back();
    this.#page.moved();
    await Promise.all([recording?.stop(), take && this.#drop(take)]);
    if (had) {
      this.#page.say("deleted");
      this.#page.emit("discarded", {});
      this.#offer();
    }
  }

  /** Takes the sending back, as long as the gateway has not got it all. */
  cancel() {
    if (this.state === "asking") return this.#back();
    if (this.state !== "sending" || this.isGiven) return;
    this.#stopSending();
    this.#become("review");
    this.rescope();
  }

  /** All bytes are under way: nothing takes them back. */
  get isGiven() {
    return this.state === "sending" && this.total > 0 && this.loaded >= this.total;
  }

  /** To the take that was to be recorded again, else to the beginning. */
  #back(note) {
    const old = this.#old;
    this.#old = undefined;
    this.take = old?.take;
    if (note && old) this.#become("review", note);
    else this.#become(old?.state ?? "idle", note ?? old?.note);
  }

  #stopSending() {
    clearTimeout(this.#later);
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  async send() {
    if (this.take && !this.take.fields) await this.rescope();
    if (!["review", "failed"].includes(this.state) || !this.take) return;
    this.#stopSending();
    const { signal } = this.#abort;
    const { take } = this;
    // A repeat under the same key has to say the same: what goes along is fixed by the first try.
    take.fields ??= { ...(take.to ?? this.#page.fields()), transcript: take.transcript?.trim() };
    this.loaded = this.total = 0;
    this.#become("sending");
    this.#page.say("sending");
    await this.#save(take);
    try {
      const progress = (loaded, total) => this.#progress(loaded, total);
      this.receipt = await this.#delivery.upload(take, signal, progress);
    } catch (trouble) {
      if (signal.aborted) return;
      if (trouble.code === "undecided") {
        await this.#drop(take);
        return this.#mayStand(trouble);
      }
      if (trouble.code !== "other-guest") return this.#fail(trouble);
      // It waits for whoever said it.
      await this.#putAway();
      await this.start();
      if (this.state === "idle") this.#become("idle", { kind: "bad", name: "session" });
      this.#page.say("session", {}, true);
      this.#page.emit("failed", { code: "other-guest", message: "session", retryable: false });
      return;
    }
    await this.#drop(take);
    if (signal.aborted) return;
    if (isOther(await take.scope, await this.#page.scope())) {
      // It is sent; what it says is for the page of whoever said it.
      this.take = this.receipt = undefined;
      this.#become("idle");
      return this.start();
    }
    this.#page.emit("status", { kind: "status", receipt: this.receipt });
    this.#arrived(this.receipt);
    if (!this.#over(this.receipt)) await this.#follow();
  }

  /** Follows the message to its end, or to where nothing is to be learned of it. */
  async #follow() {
    const { id } = this.receipt;
    this.#later = setTimeout(() => this.#unclear(id), UNCLEAR_MS);
    const over = await this.#delivery.follow(id, (kind, data) => this.#told(kind, data));
    if (!over) this.#unclear(id);
  }

  /** The gateway has it, and there is no saying when it is passed on: the guest may go on. */
  #unclear(id) {
    if (this.state !== "delivering" || this.note || this.receipt.id !== id) return;
    this.#become("delivering", { kind: "warn", name: "unclear" });
    this.#page.say("unclear");
  }

  #progress(loaded, total) {
    const given = this.isGiven;
    Object.assign(this, { loaded, total });
    if (given !== this.isGiven) this.#page.changed();
    this.#page.emit("progress", { loaded, total });
    this.#page.moved();
  }

  /** An event of the stream; `true` where nothing more is wanted. */
  #told(kind, data) {
    if (kind === "reply") {
      // Every message that is followed brings the replies to its guest.
      if (!this.#replies.has(data.id)) {
        this.#replies.add(data.id);
        this.#page.emit("reply", data);
      }
      return false;
    }
    this.#page.emit("status", { kind, receipt: data });
    if (data.id === this.receipt?.id) {
      this.receipt = data;
      this.#arrived(data);
    }
    return this.#over(data);
  }

  #over({ status, purge, delivery }) {
    const ended = ["sent", "failed", "cancelled"].includes(status);
    // Where agents can answer the stream's end is the gateway's to say.
    const gone = delivery?.route === "media-api"
      && ["purged", "incomplete", "given-up"].includes(purge?.state);
    return ended && (gone || !this.#page.follows());
  }

  #arrived(receipt) {
    // The guest may have gone on to the next one.
    if (!["sending", "delivering"].includes(this.state)) return;
    if (receipt.status === "sent") {
      const { blob, ms, peaks, fields } = this.take;
      this.#become("sent");
      this.#page.say("sent");
      this.#page.emit("sent", {
        receipt, blob, duration_ms: ms, waveform: peaks, transcript: fields.transcript,
      });
    } else if (receipt.status === "failed" || receipt.status === "cancelled") {
      const { code = receipt.status, detail } = receipt.error ?? {};
      const trouble = new Trouble(code, { detail, id: receipt.id });
      if (receipt.delivery?.possible_duplicate) this.#mayStand(trouble);
      else this.#fail(trouble);
    } else {
      if (this.state !== "delivering") {
        this.#become("delivering");
        this.#page.say("delivering");
      }
      if (receipt.status === "held") this.#unclear(receipt.id);
    }
  }

  /** Nobody can tell whether it was passed on: what is sent again may come twice. */
  #mayStand({ code, message, status, id }) {
    clearTimeout(this.#later);
    if (this.receipt?.id !== id) this.receipt = { id };
    if (this.state !== "delivering") this.#become("delivering");
    this.#unclear(id);
    this.#page.emit("failed", { code, message, status, retryable: false, id });
  }

  #fail(trouble) {
    const { code = "internal", message, status, id, retryAfterMs = 0 } = trouble;
    const retryable = trouble.retryable ?? false;
    clearTimeout(this.#later);
    if (id && code !== "in-progress") this.#renewKey();
    const lost = code === "offline" && navigator.onLine;
    const name = lost ? "busy" : textOf({ code, status, retryable });
    this.#become("failed", { kind: "bad", name });
    this.#page.say(name, {}, true);
    this.#page.emit("failed", { code, message, status, retryable, id });
    if (retryable && navigator.onLine) {
      this.#later = setTimeout(() => this.#again(), Math.max(retryAfterMs, RETRY_LATER_MS));
    }
    this.rescope();
  }

  /** The key belongs to the message that failed: another try is another message. */
  #renewKey() {
    const { take } = this;
    const { key, release } = take;
    take.key = newKey();
    this.#save(take).then(() => this.#drop({ key, release }));
    claim(take.key).then((release) => (take.release = release));
  }

  /** The connection is back, or a new token is there. */
  retryWhere(name) {
    if (this.state === "failed" && this.note?.name === name) this.send();
    else if (this.state === "delivering" && this.note && name === "session") this.#follow();
  }

  #again() {
    if (this.state === "failed") this.send();
  }

  /** Begins anew, after a message was sent: with a take that is kept, if there is one. */
  async reset() {
    if (this.state !== "sent" && this.note?.name !== "unclear") return;
    clearTimeout(this.#later);
    this.take = undefined;
    this.receipt = undefined;
    this.#become("idle");
    await this.#offer();
  }

  /** The element has left its page: the microphone is let go, what was said is kept. */
  async leave() {
    present.delete(this);
    this.#stopSending();
    this.#delivery.leave();
    if (this.state === "asking") this.#back();
    if (["recording", "paused"].includes(this.state)) await this.stop();
    await this.#saving;
    for (const take of [this.take, this.#old?.take]) take?.release?.();
    present.forEach((other) => other.#offer());
  }

  #refuse(name) {
    this.#back({ kind: "bad", name });
    this.#page.say(name, {}, true);
    this.#page.emit("failed", { code: name, message: name, retryable: true });
  }

  #become(state, note) {
    this.state = state;
    this.note = note;
    this.#page.changed();
  }

  /** Writes takes one after the other, so that an older one never covers a newer. */
  #save(take) {
    const kept = { ...take };
    this.#saving = this.#saving.then(async () => keep({ ...kept, scope: await kept.scope })).catch(() => {
      if (this.take?.key !== take.key || this.note) return;
      this.note = { kind: "warn", name: "storage" };
      this.#page.changed();
    });
    return this.#saving;
  }

  async #drop(take) {
    await this.#saving;
    await drop(take.key);
    take.release?.();
  }

  async #forget() {
    const { take } = this;
    this.take = undefined;
    if (take) await this.#drop(take);
  }
}
