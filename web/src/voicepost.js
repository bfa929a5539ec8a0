// <voice-message>: records a voice message and sends it; with `src` or `transcript` it plays one.

import { h, icon } from "./dom.js";
import { parsePeaks } from "./peaks.js";
import { player } from "./player.js";
import { Recorder } from "./recorder.js";
import { style } from "./style.js";
import { isText, languageOf, tagOf, textsFor } from "./texts.js";
import { View } from "./view.js";

/** Where this script came from: that is the gateway, unless the element names another. */
const [, CAME_FROM] = /^(.*)\/voicepost\.js/.exec(globalThis.document?.currentScript?.src) ?? [];
const PLAYBACK = ["src", "transcript", "waveform", "duration-ms"];

/** What a token says, as far as it can be read; whether it is true is the gateway's to say. */
function claimsOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    return {};
  }
}

/** Where pages are made on a server there are no elements: importing this does nothing there. */
const Base = globalThis.HTMLElement ?? class {};

class VoiceMessage extends Base {
  static observedAttributes = [...PLAYBACK, "lang", "token", "conversation-id", "sender-id", "gateway",
    "type-into"];

  #root = this.attachShadow({ mode: "open" });
  #recorder;
  #view;
  #player;
  #token;
  #provider;
  #texts = {};
  #online = () => this.#recorder?.retryWhere("offline");

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [style()];
  }

  connectedCallback() {
    addEventListener("online", this.#online);
    if (this.#recorder || this.#player) return;
    // What a page said before the script was there stands in the way of the accessors.
    for (const name of ["texts", "token", "tokenProvider", "gateway", "conversationId", "senderId"]) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    this.#build();
  }

  disconnectedCallback() {
    removeEventListener("online", this.#online);
    // Being moved within a page is no farewell.
    queueMicrotask(() => {
      if (!this.isConnected) this.#takeDown();
    });
  }

  attributeChangedCallback(name, before, after) {
    // Before it is built there is nothing to change: an upgrade tells the attributes first.
    if (before === after || !(this.#recorder || this.#player)) return;
    if (name === "token") this.token = after;
    else if (name === "type-into") this.#view?.render();
    else if (PLAYBACK.includes(name) || name === "lang" && !this.#recorder) {
      this.#takeDown();
      this.#build();
    } else if (name === "lang") this.#view.reword();
    else this.#recorder?.rescope();
  }

  #build() {
    if (this.hasAttribute("src") || this.hasAttribute("transcript")) this.#buildPlayback();
    else this.#buildRecorder();
  }

  #takeDown() {
    this.#player?.end?.();
    this.#player = undefined;
    this.#view?.end();
    this.#recorder?.leave();
    this.#recorder = this.#view = undefined;
    this.#root.replaceChildren();
  }

  #buildRecorder() {
    const page = {
      gateway: () => this.gateway,
      scope: () => this.#scope(),
      language: () => this.#language,
      fields: () => ({
        conversation_id: this.conversationId, sender_id: this.senderId, language: this.#language,
      }),
      follows: () => this.hasAttribute("follow"),
      token: (renew) => this.#tokenFor(renew),
      emit: (name, detail) => this.#emit(name, detail),
      changed: () => this.#view?.render(),
      moved: () => this.#view?.move(),
      level: (level) => this.#view?.level(level),
      say: (name, values, urgent) => this.#view?.say(this.#text(name, values), urgent),
    };
    this.#recorder = new Recorder(page);
    this.#view = new View(this.#root, this.#recorder, {
      text: () => (name, values) => this.#text(name, values),
      types: () => this.hasAttribute("type-into"),
      typing: () => this.#typeInstead(),
      tongue: () => this.#tongue,
    });
    this.#view.render();
    this.#recorder.start();
  }

  /**
   * Whose takes these are: another guest at the same browser is not offered them. `undefined` where
   * the page could not say who speaks.
   */
  async #scope() {
    const { gateway, conversationId, senderId } = this;
    let claims = {};
    try {
      if (!conversationId || !senderId) claims = claimsOf(await this.#tokenFor(false));
    } catch {
      return undefined;
    }
    const { conversation_id: conversation, sub, iss } = claims;
    const guest = senderId ?? [iss, sub].filter(Boolean).join();
    return [gateway, conversationId ?? conversation, guest].join("\n");
  }

  #buildPlayback() {
    const text = (name, values) => this.#text(name, values);
    const panel = h("div", {
      class: "panel", part: "panel", role: "group", "aria-label": text("voiceMessage"),
      ...this.#tongue,
    });
    const said = this.getAttribute("transcript")?.trim();
    const words = said && h("details", { part: "transcript" },
      h("summary", {}, text("transcript")), h("p", { class: "said", lang: this.#language, dir: "auto" }, said));
    const instead = (name, mark) => {
      const row = h("p", { class: "note warn", part: "note", role: "status" }, mark,
        h("span", {}, text(name)));
      panel.replaceChildren(row, words ?? "");
      if (words) words.open = true;
    };
    const src = this.getAttribute("src");
    if (src) {
      const made = player({
        src, ms: Number(this.getAttribute("duration-ms")) || undefined,
        peaks: parsePeaks(this.getAttribute("waveform")), text, failed: () => instead("noAudio", icon("warning")),
      });
      panel.append(h("div", { class: "row" }, made.root), words ?? "");
      this.#player = made;
    } else {
      this.#player = {};
      instead("audioGone");
    }
    this.#root.append(panel);
  }

  #emit(name, detail) {
    const event = new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: true });
    return this.dispatchEvent(event);
  }

  #typeInstead() {
    if (!this.#emit("type", {})) return;
    const selector = this.getAttribute("type-into");
    try {
      // Both may be in one shadow tree, or only the element in its own.
      (this.getRootNode().querySelector(selector) ?? document.querySelector(selector)).focus();
    } catch {
      if (selector) console.warn(`type-into finds nothing to type into: ${selector}`);
    }
  }

  /** The token now; asks the page for another where there is none, or where it was refused. */
  async #tokenFor(renew) {
    const known = this.#token ?? this.getAttribute("token") ?? undefined;
    if (known && !renew) return known;
    if (this.#provider) {
      this.#token = (await this.#provider({ renew })) ?? undefined;
      return this.#token;
    }
    if (!renew) return undefined;
    let given;
    this.#emit("token-needed", { respondWith: (token) => (given = token) });
    const token = await given;
    if (token) this.#token = token;
    return token ?? known;
  }

  get #language() {
    for (let at = this; at; at = at.parentElement?.closest("[lang]")) {
      const tag = tagOf(at.getAttribute("lang"));
      if (tag) return tag;
    }
    return tagOf(document.documentElement.lang) ?? tagOf(navigator.language) ?? "en";
  }

  /** Language and direction of the texts; own ones are taken to be in the page's language. */
  get #tongue() {
    const own = Object.keys(this.#texts).length > 0;
    return {
      lang: own ? this.#language : languageOf(this.#language),
      dir: own ? getComputedStyle(this).direction : this.dir || "ltr",
    };
  }

  #text(name, values) {
    return textsFor(this.#language, this.#texts)(name, values);
  }

  /** Own texts by their names, in place of those of the table. */
  set texts(texts) {
    this.#texts = Object.fromEntries(Object.entries(texts ?? {}).filter(([name]) => isText(name)));
    if (this.#recorder) this.#view.reword();
    else if (this.#player) {
      this.#takeDown();
      this.#build();
    }
  }

  get texts() {
    return { ...this.#texts };
  }

  #set(name, value) {
    if (value == null) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  get gateway() {
    const base = this.getAttribute("gateway") ?? CAME_FROM;
    return new URL(base || "/", location.href).href.replace(/\/+$/, "");
  }

  set gateway(url) {
    this.#set("gateway", url);
  }

  get conversationId() {
    return this.getAttribute("conversation-id") ?? undefined;
  }

  set conversationId(id) {
    this.#set("conversation-id", id);
  }

  get senderId() {
    return this.getAttribute("sender-id") ?? undefined;
  }

  set senderId(id) {
    this.#set("sender-id", id);
  }

  set token(token) {
    this.#token = token ?? undefined;
    if (token) this.#known();
  }

  /** Called where there is no token, and where the last one was refused: that says `renew`. */
  set tokenProvider(provider) {
    this.#provider = provider;
    if (provider) this.#known();
  }

  get tokenProvider() {
    return this.#provider;
  }

  /** Whoever speaks can be known now: what waits for that goes on. */
  async #known() {
    await this.#recorder?.rescope();
    this.#recorder?.retryWhere("session");
  }

  /** Where it stands; `playback` for one that plays. */
  get state() {
    return this.#recorder?.state ?? "playback";
  }

  /** What was recorded and is not sent. */
  get blob() {
    return this.#recorder?.take?.blob;
  }

  /** The gateway's last word on the message. */
  get receipt() {
    return this.#recorder?.receipt;
  }

  record() {
    return this.#recorder?.record();
  }

  pause() {
    this.#recorder?.pause();
  }

  resume() {
    this.#recorder?.resume();
  }

  stop() {
    return this.#recorder?.stop();
  }

  discard() {
    return this.#recorder?.discard();
  }

  send() {
    return this.#recorder?.send();
  }

  cancel() {
    this.#recorder?.cancel();
  }

  offer(blob, options) {
    return this.#recorder?.offer(blob, options);
  }

  reset() {
    this.#recorder?.reset();
  }
}

if (globalThis.customElements && !customElements.get("voice-message")) {
  customElements.define("voice-message", VoiceMessage);
}

export { VoiceMessage };
