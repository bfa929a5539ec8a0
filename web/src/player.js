// Plays one clip: play, seek on its waveform, speed.

import { clock, h, icon, svg } from "./dom.js";
import { FLAT, barsBox, barsPath } from "./peaks.js";

const SPEEDS = [1, 1.5, 2];
/** Beyond the end of any clip: makes a browser find out how long a recording without a header is. */
const FAR = 1e7;

/** One voice at a time: what plays now, on the whole page. */
let sounding;

/**
 * A player for `src`. `ms` and `peaks` where they are known; `failed()` is called when the audio
 * cannot be played. Returns the element and its end.
 */
export function player({ src, ms, peaks, text, failed }) {
  const audio = new Audio();
  audio.preload = "metadata";
  let length = ms ?? 0;
  let speed = 0;
  let searching = false;

  const toggle = h("button", { type: "button", class: "round play", part: "play", onclick: flip });
  const slider = h("input", {
    type: "range", min: 0, max: 1000, value: 0, step: 1, class: "seek", part: "seek",
    "aria-label": text("position"), oninput: seek,
  });
  const drawn = peaks ?? FLAT;
  const base = svg("wave", barsBox(drawn), barsPath(drawn));
  const over = svg("wave played", barsBox(drawn), barsPath(drawn));
  for (const wave of [base, over]) wave.setAttribute("preserveAspectRatio", "none");
  const track = h("div", { class: "track", part: "waveform", dir: "ltr" }, base, over, slider);
  const time = h("span", { class: "time", part: "time" });
  const pace = h("button", {
    type: "button", class: "pace", part: "speed", dir: "ltr", onclick: hasten,
  });
  const root = h("div", { class: "player" }, toggle, track, time, pace);

  function show() {
    const at = searching ? 0 : Math.min(audio.currentTime * 1000, length || Infinity);
    // A whole is rounded, what has been played is not: 4.9 s are five seconds.
    const whole = clock(length + 500);
    const part = length ? Math.min(1, at / length) : 0;
    track.style.setProperty("--played", `${(100 - part * 100).toFixed(2)}%`);
    slider.value = Math.round(part * 1000);
    slider.setAttribute("aria-valuetext", text("of", { at: clock(at), time: whole }));
    const begun = at > 0 || !audio.paused;
    time.textContent = begun ? clock(at) : whole;
  }

  function showState() {
    const plays = !audio.paused && !audio.ended;
    toggle.replaceChildren(icon(plays ? "pause" : "play"));
    toggle.setAttribute("aria-label", text(plays ? "halt" : "play"));
    if (plays) requestAnimationFrame(frame);
    show();
  }

  function frame() {
    show();
    if (!audio.paused && !audio.ended && root.isConnected) requestAnimationFrame(frame);
  }

  function flip() {
    if (!audio.paused) return audio.pause();
    if (audio.ended) audio.currentTime = 0;
    if (sounding !== audio) sounding?.pause();
    sounding = audio;
    // A refusal of the browser to play is told by the error event, or is a click too early.
    return audio.play().catch(() => {});
  }

  function seek() {
    if (length) audio.currentTime = ((slider.value / 1000) * length) / 1000;
    show();
  }

  function hasten() {
    speed = (speed + 1) % SPEEDS.length;
    audio.playbackRate = SPEEDS[speed];
    showSpeed();
  }

  function showSpeed() {
    const shown = `${SPEEDS[speed]}×`;
    pace.textContent = shown;
    pace.setAttribute("aria-label", `${text("speed")} ${shown}`);
  }

  audio.addEventListener("loadedmetadata", () => {
    if (Number.isFinite(audio.duration)) {
      length = audio.duration * 1000;
    } else {
      searching = true;
      audio.currentTime = FAR;
    }
    show();
  });
  audio.addEventListener("durationchange", () => {
    if (!Number.isFinite(audio.duration)) return;
    length = audio.duration * 1000;
    show();
  });
  audio.addEventListener("seeked", () => {
    if (!searching) return;
    searching = false;
    audio.currentTime = 0;
  });
  for (const name of ["play", "pause", "ended", "timeupdate"]) {
    audio.addEventListener(name, name === "timeupdate" ? show : showState);
  }
  audio.addEventListener("error", () => failed?.());
  showSpeed();
  showState();
  audio.src = src;
  return {
    root,
    /** Silences it for good. */
    end() {
      audio.pause();
      audio.removeAttribute("src");
      audio.load();
    },
  };
}
