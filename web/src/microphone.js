// The microphone: a recording that grows second by second, and its level.

import { chooseType } from "./limits.js";

const PIECE_MS = 1_000;
const BITS_PER_SECOND = 32_000;
const LEVEL_EVERY_MS = 50;

/** What `getUserMedia` and `MediaRecorder` say, as a name of the table of texts. */
export function nameOf(error) {
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "noMicrophone";
    case "NotReadableError":
    case "AbortError":
      return "inUse";
    default:
      return "unsupported";
  }
}

/** Why there is no recording here at all; `undefined` where there may be. */
export function obstacle() {
  if (!globalThis.isSecureContext) return "insecure";
  if (!navigator.mediaDevices?.getUserMedia || !globalThis.MediaRecorder) return "unsupported";
  return undefined;
}

/** Opens the microphone. Rejects with what the browser says. */
export async function openMicrophone(types) {
  const audio = { channelCount: { ideal: 1 } };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  try {
    return new Recording(stream, types);
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    throw error;
  }
}

/** A recording under way. `onpiece(piece, all)` gets each second as it comes. */
class Recording {
  #stream;
  #recorder;
  #pieces = [];
  #ended;
  #before = 0;
  #since = 0;
  #meter;

  constructor(stream, types) {
    this.#stream = stream;
    const type = chooseType(types, (one) => MediaRecorder.isTypeSupported(one), navigator.vendor);
    const options = { audioBitsPerSecond: BITS_PER_SECOND, ...(type && { mimeType: type }) };
    this.#recorder = new MediaRecorder(stream, options);
    this.#ended = new Promise((resolve) => {
      this.#recorder.addEventListener("stop", resolve, { once: true });
    });
    this.#recorder.addEventListener("dataavailable", ({ data }) => {
      if (data.size === 0) return;
      this.#pieces.push(data);
      this.onpiece?.();
    });
    // An encoder that breaks down, a microphone that is pulled out: what was said so far is kept.
    const cut = () => this.oncut?.();
    this.#recorder.addEventListener("error", cut);
    stream.getAudioTracks().forEach((track) => track.addEventListener("ended", cut));
    this.#recorder.start(PIECE_MS);
    this.#since = performance.now();
    this.#meter = meter(stream, (level) => this.#recorder.state === "recording"
      && this.onlevel?.(level));
  }

  /** What the bytes are, in the words of whoever made them; never a guess of ours. */
  get type() {
    return this.#recorder.mimeType || this.#pieces[0]?.type || "";
  }

  /** Milliseconds recorded so far, pauses not counted. */
  get ms() {
    return this.#before + (this.#since ? performance.now() - this.#since : 0);
  }

  /** Whether the level is being measured; some browsers never start an AudioContext. */
  get isMetered() {
    return this.#meter.isRunning();
  }

  /** The bytes so far. */
  get blob() {
    return new Blob(this.#pieces, { type: this.type });
  }

  pause() {
    if (this.#recorder.state !== "recording") return;
    this.#recorder.pause();
    this.#before = this.ms;
    this.#since = 0;
  }

  resume() {
    if (this.#recorder.state !== "paused") return;
    this.#recorder.resume();
    this.#since = performance.now();
  }

  /** Ends it and lets go of the microphone; resolves to the whole take. */
  async stop() {
    const ms = this.ms;
    this.#before = ms;
    this.#since = 0;
    if (this.#recorder.state !== "inactive") {
      this.#recorder.stop();
      await this.#ended;
    }
    this.#stream.getTracks().forEach((track) => track.stop());
    this.#meter.stop();
    return { blob: this.blob, ms };
  }

  /** Takes the last piece off, where there are others; whether it did. */
  shorten() {
    return this.#pieces.length > 1 && this.#pieces.pop() !== undefined;
  }

  /** A short tone, where sound can be made. */
  beep(times) {
    this.#meter.beep(times);
  }
}

/**
 * Levels of a stream, 0 to 1. Nothing waits for it: where the AudioContext does not start there
 * are no levels, and the recording goes on without.
 */
function meter(stream, tell) {
  let context;
  try {
    context = new AudioContext();
    context.resume().catch(() => {});
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    var timer = setInterval(() => {
      if (context.state !== "running") return;
      analyser.getFloatTimeDomainData(samples);
      let sum = 0;
      for (const sample of samples) sum += sample * sample;
      tell(Math.min(1, Math.sqrt(sum / samples.length) * 4));
    }, LEVEL_EVERY_MS);
  } catch {
    // No level then.
  }
  return {
    isRunning: () => context?.state === "running",
    beep(times) {
      if (context?.state !== "running") return;
      for (let turn = 0; turn < times; turn += 1) {
        const [tone, volume] = [context.createOscillator(), context.createGain()];
        const at = context.currentTime + turn * 0.22;
        tone.frequency.value = 880;
        volume.gain.setValueAtTime(0.0001, at);
        volume.gain.exponentialRampToValueAtTime(0.12, at + 0.02);
        volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.16);
        tone.connect(volume).connect(context.destination);
        tone.start(at);
        tone.stop(at + 0.18);
      }
    },
    stop() {
      clearInterval(timer);
      // The last tone may still sound.
      setTimeout(() => context?.close().catch(() => {}), 600);
    },
  };
}
