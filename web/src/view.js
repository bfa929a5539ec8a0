// What the guest sees of a recorder: one panel for each state. Rebuilt when the state or its note
// changes; time, level and progress move within it.

import { clock, h, icon, svg } from "./dom.js";
import { player } from "./player.js";

const LEVELS = 48;

export class View {
  #panel = h("div", { class: "panel", part: "panel", role: "group" });
  #polite = h("div", { class: "heard", role: "status" });
  #urgent = h("div", { class: "heard", role: "alert" });
  #root;
  #recorder;
  #page;
  #move = () => {};
  #levels = [];
  #player;
  #playing;

  /**
   * `page`: `text()`; `types()`: whether there is where to type; `typing()`: the guest would rather;
   * `tongue()`: `lang` and `dir` of the texts.
   */
  constructor(root, recorder, page) {
    this.#root = root;
    this.#recorder = recorder;
    this.#page = page;
    root.append(this.#panel, this.#polite, this.#urgent);
  }

  /** Tells a screen reader; urgent ones interrupt. */
  say(text, urgent) {
    const region = urgent ? this.#urgent : this.#polite;
    region.textContent = "";
    setTimeout(() => (region.textContent = text), 60);
  }

  level(level) {
    if (this.#recorder.state !== "recording") return;
    this.#levels.push(level);
    if (this.#levels.length > LEVELS) this.#levels.shift();
    this.#move();
  }

  move() {
    this.#move();
  }

  /** In other words, the player's too. */
  reword() {
    this.#endPlayer();
    this.render();
  }

  render() {
    const text = this.#page.text();
    const { state, take } = this.#recorder;
    const focused = this.#root.activeElement?.getAttribute("part");
    const had = this.#root.activeElement !== null;
    const shows = ["review", "failed"].includes(state) && take?.blob;
    if (this.#playing !== (shows || undefined)) this.#endPlayer();
    if (state === "asking") this.#levels = [];
    this.#move = () => {};
    this.#panel.setAttribute("aria-label", text("voiceMessage"));
    for (const part of this.#root.children) Object.assign(part, this.#page.tongue());
    this.#panel.classList.toggle("warns", this.#recorder.warned && state === "recording");
    this.#panel.dataset.state = state;
    const build = this[`_${state}`];
    if (build) this.#panel.replaceChildren(...[...build.call(this, text), this.#others()].filter(Boolean));
    this.#move();
    if (!had) return;
    const next = this.#panel.querySelector(`[part="${focused}"]`)
      ?? this.#panel.querySelector("[data-first]");
    next?.focus({ preventScroll: true });
  }

  #endPlayer() {
    this.#player?.end();
    this.#player = undefined;
    this.#playing = undefined;
  }

  end() {
    this.#endPlayer();
  }

  #button(name, act, look = {}) {
    const text = this.#page.text();
    const { label = name, className = "round", word = false, first = false } = look;
    return h("button", {
      type: "button", class: className, part: name, "data-first": first,
      "aria-label": word ? undefined : text(label), title: word ? undefined : text(label), onclick: act,
    }, look.icon === false ? null : icon(look.icon ?? name),
    word ? h("span", { class: "word" }, text(label)) : null);
  }

  #note(text) {
    const { note } = this.#recorder;
    if (!note) return null;
    const name = note.kind === "info" ? "microphone" : "warning";
    const shown = note.kind === "info" ? null : icon(name);
    return h("p", { class: `note ${note.kind}`, part: "note" }, shown,
      h("span", {}, text(note.name, note.values)));
  }

  /** What else there is to do: typing, where the page has a place for it, until it is sent. */
  #others() {
    const recorder = this.#recorder;
    const { state } = recorder;
    const quiet = (name, act) => this.#button(name, act, {
      className: "quiet", word: true, icon: false,
    });
    const type = state !== "sent" && this.#page.types() && quiet("type", () => {
      // What was begun waits: nothing is recorded of a guest who types.
      if (state === "asking") recorder.cancel();
      recorder.pause();
      this.#page.typing();
    });
    const again = state === "review" && quiet("again", () => recorder.record());
    const all = [again, type].filter(Boolean);
    return all.length > 0 && h("div", { class: "others" }, ...all);
  }

  _idle(text) {
    const recorder = this.#recorder;
    const limit = h("span", { class: "small" });
    this.#move = () => {
      limit.textContent = text("upTo", { time: clock(recorder.limitMs) });
    };
    const start = h("button", {
      type: "button", class: "start", part: "record", "data-first": true,
      onclick: () => recorder.record(),
    }, h("span", { class: "disc" }, icon("microphone")), h("span", {}, text("record")), limit);
    return [this.#note(text), start];
  }

  _asking(text) {
    return [h("div", { class: "row" },
      h("span", { class: "dot still" }), h("span", { class: "grow" }, text("asking")),
      this.#button("cancel", () => this.#recorder.cancel(), {
        className: "quiet", word: true, icon: false, first: true,
      }))];
  }

  _recording(text) {
    return this.#live(text, "pause");
  }

  _paused(text) {
    return this.#live(text, "resume");
  }

  #live(text, change) {
    const recorder = this.#recorder;
    const paused = change === "resume";
    const at = h("span", {});
    const time = h("span", { class: "time", part: "time" }, at);
    const limit = h("span", { class: "small" });
    time.append(limit);
    const wave = svg(`level${paused ? " still" : ""}`, `0 0 ${LEVELS * 4} 32`, "");
    wave.setAttribute("part", "level");
    wave.setAttribute("preserveAspectRatio", "none");
    const path = wave.firstChild;
    this.#move = () => {
      at.textContent = clock(recorder.ms);
      const left = Math.ceil(recorder.leftMs / 1000);
      limit.textContent = recorder.warned ? ` · ${text("leftShort", { seconds: left })}`
        : ` / ${clock(recorder.limitMs)}`;
      const blank = LEVELS - this.#levels.length;
      path.setAttribute("d", Array.from({ length: LEVELS }, (_, turn) => {
        const level = turn < blank ? 0 : this.#levels[turn - blank];
        const height = 2.5 + Math.sqrt(level) * 27;
        return `M${turn * 4 + 2} ${(16 - height / 2).toFixed(1)}v${height.toFixed(1)}`;
      }).join(""));
    };
    const dot = h("span", { class: paused ? "dot still" : "dot live" });
    return [
      this.#note(text),
      h("div", { class: "row" }, dot, time, wave),
      h("div", { class: "row" },
        this.#button("delete", () => recorder.discard(), { className: "round danger" }),
        h("span", { class: "end" }),
        this.#button("pause", () => (paused ? recorder.resume() : recorder.pause()), {
          icon: change, label: change,
        }),
        this.#button("stop", () => recorder.stop(), {
          className: "main", word: true, first: true,
        })),
    ];
  }

  #listen() {
    const { take } = this.#recorder;
    if (!this.#player) {
      this.#playing = take.blob;
      const src = URL.createObjectURL(take.blob);
      const end = () => URL.revokeObjectURL(src);
      const text = this.#page.text();
      const failed = () => {
        made.root.replaceChildren(icon("warning"), text("noAudio"));
        this.say(text("noAudio"));
      };
      const made = player({ src, ms: take.ms, peaks: take.peaks, text, failed });
      this.#player = { root: made.root, end: () => (made.end(), end()) };
    }
    return this.#player.root;
  }

  _review(text) {
    const recorder = this.#recorder;
    const { take } = recorder;
    return [
      this.#note(text),
      h("div", { class: "row" }, this.#listen()),
      this.#caption(text, take),
      h("div", { class: "row" },
        this.#button("delete", () => recorder.discard(), { className: "round danger" }),
        this.#button("send", () => recorder.send(), {
          className: "main", word: true, first: true,
        })),
    ];
  }

  /** The message as text, as long as nothing of it has been sent. */
  #caption(text, take) {
    if (take.fields) return null;
    const field = h("textarea", {
      rows: 2, maxlength: 1000, "aria-label": text("caption"), part: "caption",
      oninput: () => this.#recorder.caption(field.value),
    });
    field.value = take.transcript ?? "";
    return h("details", { open: Boolean(take.transcript) },
      h("summary", { part: "captions" }, text("caption")),
      h("span", { class: "small" }, text("captionWhy")), field);
  }

  _sending(text) {
    const recorder = this.#recorder;
    const bar = h("progress", { class: "bar", part: "progress", max: 100, "aria-label": text("sending") });
    const part = h("span", { class: "time" });
    this.#move = () => {
      const done = recorder.total ? Math.round((recorder.loaded / recorder.total) * 100) : 0;
      bar.value = done;
      part.textContent = `${done} %`;
    };
    const given = recorder.isGiven;
    return [h("div", { class: "row", tabindex: given && -1, "data-first": given },
      h("span", { class: "lead" }, text("sending")), bar, part,
      given ? null : this.#button("cancel", () => recorder.cancel(), {
        className: "quiet", word: true, icon: false, first: true,
      }))];
  }

  _delivering(text) {
    if (this.#recorder.note) {
      return [this.#note(text), h("div", { class: "row" }, this.#another())];
    }
    const bar = h("progress", { class: "bar", part: "progress", "aria-label": text("delivering") });
    return [h("div", { class: "row", tabindex: -1, "data-first": true },
      h("span", { class: "lead" }, text("delivering")), bar)];
  }

  _sent(text) {
    return [h("div", { class: "row" },
      h("p", { class: "note good", part: "note" }, icon("done"), h("span", {}, text("sent"))),
      this.#another())];
  }

  #another() {
    return this.#button("another", async () => {
      await this.#recorder.reset();
      if (this.#recorder.state === "idle") this.#recorder.record();
    }, { className: "quiet end", word: true, icon: false, first: true });
  }

  _failed(text) {
    const recorder = this.#recorder;
    return [
      this.#note(text),
      h("div", { class: "row" }, this.#listen()),
      h("div", { class: "row" },
        this.#button("delete", () => recorder.discard(), { className: "round danger" }),
        this.#button("retry", () => recorder.send(), {
          className: "main", word: true, first: true, icon: "send",
        })),
    ];
  }
}
