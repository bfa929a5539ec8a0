// The guest's chat of the demo: the recorder, what was said, and what becomes of it. The agent's desk
// beside it is the sandbox's own page; it is told when a clip is to go, and finds out the rest itself.
"use strict";

const byId = (id) => document.getElementById(id);
const [recorder, log, desk] = ["recorder", "log", "desk"].map(byId);
const messages = new Map();

// A reload is still the same conversation, so a take that was not sent is offered again.
const guest = sessionStorage.getItem("conversation")
  ?? `guest-${Math.random().toString(36).slice(2, 7)}`;
sessionStorage.setItem("conversation", guest);
// On open-messaging Genesys chooses the conversation, and agents answer.
const answers = document.documentElement.dataset.route === "open-messaging";
recorder.senderId = answers ? guest : "guest";
if (!answers) recorder.conversationId = guest;
const steps = ["record", "heard", ...(answers ? ["answered"] : []), "gone"];
steps.forEach((name, index) => {
  const item = byId(`step-${name}`);
  item.hidden = false;
  item.firstElementChild.textContent = index + 1;
});

/** What is said of a copy on open-messaging, by its kind and state. */
const COPIES = {
  "hosted-file": { owed: "On the gateway’s media host", gone: "Deleted from the media host" },
  "cached-media": { owed: "Genesys may cache it", gone: "Genesys lists no cached copy any more" },
  recording: { "not-possible": "Not possible here: deleting Genesys’ recording, if it makes one" },
};

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function append(item) {
  log.append(item);
  log.scrollTop = log.scrollHeight;
}

function left(dueAt) {
  const seconds = Math.max(0, Math.ceil((dueAt - Date.now()) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

const done = new Set();

/** What has happened is done; the first that has not is next. */
function step(happened) {
  if (happened) done.add(happened);
  const current = steps.find((name) => !done.has(name));
  for (const name of steps) {
    const item = byId(`step-${name}`);
    item.className = done.has(name) ? "done" : name === current ? "now" : "";
    if (name === current) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
}

/** The desk is a page of this origin; a clip that plays there is one that the agent hears. */
function watchDesk() {
  desk.contentDocument?.addEventListener("play", () => step("heard"), { capture: true });
}

/** A sample takes the place of what was recorded, so not while the visitor speaks or it is sent. */
function showSamples() {
  const takes = ["idle", "review", "failed", "sent"].includes(recorder.state);
  for (const sample of byId("samples").querySelectorAll("button")) sample.disabled = !takes;
}

function sent({ detail }) {
  const { receipt, blob, duration_ms: ms, waveform, transcript } = detail;
  const item = element("li", "mine voice");
  const clip = element("voice-message");
  const src = URL.createObjectURL(blob);
  clip.setAttribute("src", src);
  clip.setAttribute("duration-ms", ms);
  if (waveform) clip.setAttribute("waveform", waveform.join(","));
  if (transcript) clip.setAttribute("transcript", transcript);
  const fate = element("p", "fate");
  const copies = element("ul", "copies");
  item.append(clip, fate, ...(answers ? [copies] : []));
  messages.set(receipt.id, { clip, fate, copies, src, receipt });
  step("record");
  show(receipt.id);
  append(item);
}

function status({ detail: { receipt } }) {
  const message = messages.get(receipt.id);
  if (!message) return;
  message.receipt = receipt;
  show(receipt.id);
}

/** An agent's answer, as the event stream brought it. */
function reply({ detail: { from, text, attachments } }) {
  const item = element("li", "theirs");
  if (text) item.append(element("p", "", text));
  for (const { file_name: name, url } of attachments) item.append(element("p", "", name ?? url));
  item.append(element("p", "fate", `${from ?? "Agent"}’s answer, by the event stream`));
  append(item);
  step("answered");
}

function showCopies(list, copies) {
  const items = copies.map(({ kind, state }) =>
    element("li", state, COPIES[kind]?.[state] ?? `${kind}: ${state}`));
  if (list.textContent !== items.map((item) => item.textContent).join("")) {
    list.replaceChildren(...items);
  }
}

/** Whether every copy that can be deleted is proven gone. */
function isGone({ state, copies }) {
  const last = answers && state === "incomplete";
  return state === "purged" || (last && copies.every(({ kind, state }) =>
    state === (kind === "recording" ? "not-possible" : "gone")));
}

function show(id) {
  const message = messages.get(id);
  const { receipt: { purge, message_id }, clip, fate, copies, src } = message;
  const dueAt = Date.parse(purge.due_at);
  showCopies(copies, purge.copies);
  if (isGone(purge)) {
    if (message.gone) return;
    message.gone = true;
    fate.className = "fate gone";
    fate.textContent = answers ? "The audio is gone"
      : "Deleted at Genesys, proven by its answer";
    URL.revokeObjectURL(src);
    if (!clip.hasAttribute("transcript")) clip.setAttribute("transcript", "");
    clip.removeAttribute("src");
    step("gone");
    byId("step-gone").lastElementChild.textContent = "The audio is gone";
    return;
  }
  const late = dueAt < Date.now();
  fate.textContent = late ? "Delivered · audio is being deleted"
    : `Delivered · audio goes in ${left(dueAt)}`;
  desk.contentWindow.postMessage({ message_id, due_at: purge.due_at }, location.origin);
  if (id === [...messages.keys()].at(-1)) {
    byId("step-gone").lastElementChild.textContent = late ? "The audio is going"
      : `The audio goes in ${left(dueAt)}`;
  }
}

async function useSample({ target }) {
  const { clip, text } = target.dataset;
  if (!clip) return;
  const answer = await fetch(clip);
  await recorder.offer(await answer.blob(), { transcript: text });
}

function typed(event) {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (!text) return;
  const item = element("li", "mine");
  item.append(element("p", "", text),
    element("p", "fate", "Typed: the chat’s own business, Voicepost carries what is spoken"));
  append(item);
  byId("text").value = "";
}

recorder.addEventListener("sent", sent);
recorder.addEventListener("status", status);
recorder.addEventListener("reply", reply);
recorder.addEventListener("recorded", () => {
  done.clear();
  step();
});
desk.addEventListener("load", watchDesk);
watchDesk();
byId("samples").addEventListener("click", useSample);
byId("typed").addEventListener("submit", typed);
setInterval(showSamples, 200);
setInterval(() => messages.forEach((message, id) => message.gone || show(id)), 500);
