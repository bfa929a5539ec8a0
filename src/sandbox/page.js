// Shows the account of the sandbox, once a second. What came over the wire is set as text only.
// Elements are kept from one turn to the next: a clip that plays is not interrupted.
"use strict";

const LATEST = 200;
const TURN_MS = 1000;
const byId = (id) => document.getElementById(id);
const conversations = new Map();
const messages = new Map();
const loose = new Map();
// When the gateway means to delete a clip, by the id of its message. The wire does not say that: a
// page that shows this one in a frame may.
const dueAt = new Map();

if (parent !== window) document.documentElement.classList.add("framed");
addEventListener("message", ({ origin, data }) => {
  const at = Date.parse(data?.due_at);
  if (origin === location.origin && at) dueAt.set(data.message_id, at);
});

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function clock(time) {
  return new Date(time).toLocaleTimeString([], {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
  });
}

function size(bytes) {
  return bytes < 1000 ? `${bytes} B`
    : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

// The guest's attachment, where it lies: on the sender's media host.
function showAttachment(message, { media, dropped, cache_deleted_at: deletedAt }) {
  if (dropped) setText(message.gone, `${dropped.mime} dropped: the content profile admits none`);
  if (!media) return;
  const hash = media.sha256 ? ` · sha256 ${media.sha256.slice(0, 12)}…` : "";
  const cache = deletedAt ? ` · cached copy deleted at ${clock(deletedAt)}` : "";
  setText(message.meta, `${media.filename || "without a name"} · ${media.mime}${hash}${cache}`);
  // What this page holds of it is no sign of what is at its address: look there again.
  if (deletedAt && message.audio && !message.again) {
    message.again = true;
    message.audio.load();
  }
  if (message.lost || message.audio) return;
  message.meta.title = media.url;
  if (media.mediaType !== "Audio") return;
  message.audio = element("audio");
  message.audio.controls = true;
  message.audio.preload = "metadata";
  message.audio.src = media.url;
  message.audio.addEventListener("error", () => {
    message.lost = true;
    silence(message, "nothing to play at its address: purged, expired or out of reach");
  }, { once: true });
  message.slot.append(message.audio);
}

function toldBy({ status, reasons, is_final: isFinal, arrived_at: at }) {
  const why = reasons.map(({ code, message }) => (code ? `${code}: ${message}` : message));
  const words = [status, ...why, isFinal ? "final" : ""].filter(Boolean).join(", ");
  return `${words} (${clock(at)})`;
}

function showAnswer(message, { state, tries, trouble, receipts }) {
  const calls = tries === 1 ? "1 call" : `${tries} calls`;
  const states = {
    queued: tries === 0 ? "queued" : `to be repeated after ${calls}`,
    "delivered-to-webhook": `taken by the webhook, ${calls}`,
    failed: `failed after ${calls}`,
  };
  const told = receipts.at(-1)?.status;
  const good = told === "Delivered" || (state === "delivered-to-webhook" && !told);
  message.badge.classList.toggle("good", good);
  message.badge.classList.toggle("bad", told === "Failed" || (state === "failed" && !told));
  setText(message.badge, told || states[state]);
  const from = receipts.map(toldBy).join("; ");
  const line = [states[state], trouble, from && `receipts: ${from}`].filter(Boolean).join(" · ");
  setText(message.meta, line);
}

async function sendAnswer(conversationId, field, said) {
  try {
    const answer = await fetch("/sandbox/answers", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ conversation_id: conversationId, text: field.value }),
    });
    if (!answer.ok) {
      const { detail } = await answer.json().catch(() => ({}));
      throw new Error(detail || `status ${answer.status}`);
    }
    field.value = "";
    setText(said, "");
  } catch (error) {
    setText(said, `not sent: ${error.message}`);
  }
}

function answerForm(conversationId) {
  const form = element("form", "answer");
  const field = element("textarea");
  field.rows = 2;
  field.maxLength = 4000;
  field.required = true;
  field.setAttribute("aria-label", "Answer to the guest");
  field.placeholder = "Answer as the agent";
  const button = element("button", "", "Send");
  const said = element("p", "said");
  said.setAttribute("role", "status");
  form.append(field, button, said);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendAnswer(conversationId, field, said);
  });
  return form;
}

// Only the path: the page plays from its own origin, whatever base address the sandbox hands out.
function playable(mediaUrl) {
  const url = new URL(mediaUrl, location.href);
  return url.pathname + url.search;
}

function newMessage(sender, at, transcript, mediaId) {
  const root = element("li", "message");
  const top = element("div", "top");
  const time = element("time", "quiet", clock(at));
  time.dateTime = at;
  const badge = element("span", "badge");
  top.append(element("span", "sender", sender), time, badge);
  root.append(top);
  if (transcript) root.append(element("p", "transcript", transcript));
  const slot = element("div", "slot");
  const gone = element("p", "gone");
  const due = element("p", "due");
  const meta = element("p", "quiet meta");
  root.append(slot, gone, due, meta);
  return { root, slot, gone, due, meta, badge, mediaId, audio: null };
}

function silence(message, why) {
  if (message.audio) {
    message.audio.pause();
    message.audio.removeAttribute("src");
    message.audio.load();
    message.audio.remove();
    message.audio = null;
  }
  setText(message.gone, why);
}

function showClip(message, upload, now) {
  if (!upload) {
    silence(message, "clip unknown here");
    return;
  }
  message.root.classList.toggle("deleted", upload.deleted_at !== null);
  setText(message.badge, upload.posts > 1 ? `posted ${upload.posts} times` : "");
  const hash = upload.sha256 ? ` · sha256 ${upload.sha256.slice(0, 12)}…` : "";
  const bytes = size(upload.bytes);
  setText(message.meta, `${upload.file_name} · ${upload.media_type} · ${bytes}${hash}`);
  message.meta.title = `media ${upload.media_id}`;
  if (upload.deleted_at !== null) {
    silence(message, `deleted at ${clock(upload.deleted_at)}`);
  } else if (Date.parse(upload.url_expires_at) <= now) {
    silence(message, `its address expired at ${clock(upload.url_expires_at)}; not deleted yet`);
  } else if (!message.audio) {
    message.audio = element("audio");
    message.audio.controls = true;
    message.audio.preload = "metadata";
    message.audio.src = playable(upload.media_url);
    message.slot.append(message.audio);
  }
}

function showDue(message, at) {
  const seconds = Math.max(0, Math.ceil((at - Date.now()) / 1000));
  const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  setText(message.due, message.audio && at ? `to be deleted in ${left}` : "");
}

function conversation(id, isOpen) {
  let known = conversations.get(id);
  if (!known) {
    const root = element("article", "conversation card");
    const title = element("h3", "", id);
    const count = element("span");
    title.append(" ", count);
    const list = element("ul", "messages");
    const answer = isOpen ? answerForm(id) : element("p", "answer",
      "No answering here: media-api, the route in use, brings nothing back to the guest.");
    root.append(title, list, answer);
    byId("conversations").prepend(root);
    known = { root, list, count };
    conversations.set(id, known);
  }
  return known;
}

// A message that is seen for the first time goes to the end of its conversation.
function messageOf(key, conversationId, isOpen, made) {
  let message = messages.get(key);
  if (!message) {
    message = made();
    message.conversation = conversation(conversationId, isOpen);
    message.conversation.list.append(message.root);
    // The conversation that was active last stands first. Moved, a clip would fall silent and a
    // field lose its focus: then it stays where it is.
    const { root } = message.conversation;
    const plays = [...root.querySelectorAll("audio")].some((audio) => !audio.paused);
    if (!plays && !root.contains(document.activeElement)) byId("conversations").prepend(root);
    messages.set(key, message);
  }
  return message;
}

function showPost(key, post, { uploads, open, now }) {
  const sent = open.get(post.message_id);
  const sender = sent?.nickname || post.sender_id;
  const message = messageOf(key, post.conversation_id, Boolean(sent), () =>
    newMessage(sender, post.arrived_at, post.transcript, post.media_id));
  if (sent) showAttachment(message, sent);
  else showClip(message, uploads.get(post.media_id), now);
  showDue(message, dueAt.get(post.message_id));
}

function showWritten(key, answer) {
  const message = messageOf(key, answer.conversation_id, true, () => {
    const made = newMessage("Agent", answer.answered_at, answer.text, "");
    made.root.classList.add("agent");
    return made;
  });
  showAnswer(message, answer);
}

function showConversations(account, found) {
  const said = account.posts.map((post) => ({
    key: `${post.message_id} ${post.media_id}`, at: post.arrived_at,
    show(key) { showPost(key, post, found); },
  }));
  const written = account.answers.map((answer) => ({
    key: answer.id, at: answer.answered_at,
    show(key) { showWritten(key, answer); },
  }));
  const all = [...said, ...written].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const seen = new Set();
  all.forEach(({ key, show }) => {
    seen.add(key);
    show(key);
  });
  forget(messages, seen);
  for (const [id, { root, list, count }] of conversations) {
    const length = list.childElementCount;
    setText(count, length === 1 ? "· 1 message" : `· ${length} messages`);
    if (length === 0) {
      root.remove();
      conversations.delete(id);
    }
  }
}

function showLoose(uploads, now) {
  const seen = new Set();
  uploads.filter((upload) => upload.posts === 0).forEach((upload) => {
    seen.add(upload.media_id);
    let message = loose.get(upload.media_id);
    if (!message) {
      message = newMessage(upload.media_id, upload.arrived_at, "", upload.media_id);
      loose.set(upload.media_id, message);
      byId("loose-list").append(message.root);
    }
    showClip(message, upload, now);
  });
  forget(loose, seen);
  byId("loose").hidden = seen.size === 0;
}

function forget(known, seen) {
  for (const [key, message] of known) {
    if (!seen.has(key)) {
      silence(message, "");
      message.root.remove();
      known.delete(key);
    }
  }
}

function showCounts(summary) {
  const rows = [
    ["messages posted", summary.posts, false],
    ["clips uploaded", summary.uploads, false],
    ["clips alive", summary.uploads_alive, false],
    ["clips deleted", summary.deleted, false],
    ["repeated posts", summary.posts_repeated, summary.posts_repeated > 0],
    ["tokens issued", summary.tokens_issued, false],
  ];
  byId("counts").replaceChildren(...rows.map(([name, count, attention]) => {
    const row = element("div", attention ? "attention" : "");
    row.append(element("dt", "", name), element("dd", "", count.toLocaleString("en")));
    return row;
  }));
}

function showCalls(calls) {
  const rows = Object.entries(calls).map(([endpoint, statuses]) => {
    const row = element("tr");
    const cell = element("td");
    for (const [status, count] of Object.entries(statuses)) {
      const entry = element("span", status.startsWith("2") ? "fine" : "trouble");
      entry.textContent = `${status} × ${count.toLocaleString("en")}`;
      cell.append(entry);
    }
    const name = element("th", "", endpoint);
    name.scope = "row";
    row.append(name, cell);
    return row;
  });
  byId("calls-body").replaceChildren(...rows);
  byId("calls").hidden = rows.length === 0;
}

function show(account) {
  const now = Date.parse(account.now);
  const uploads = new Map(account.uploads.map((upload) => [upload.media_id, upload]));
  showCounts(account.summary);
  const open = new Map(account.open_messages.map((sent) => [sent.message_id, sent]));
  showConversations(account, { uploads, open, now });
  showLoose(account.uploads, now);
  showCalls(account.summary.calls);
  byId("empty").hidden = account.posts.length > 0;
}

async function turn() {
  const link = byId("link");
  try {
    const answer = await fetch(`/sandbox/account?latest=${LATEST}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
    link.className = "link live";
    setText(link, "live");
  } catch (error) {
    link.className = "link lost";
    setText(link, `no answer since ${link.dataset.at || "the start"}`);
    console.error(error);
  }
  if (link.classList.contains("live")) link.dataset.at = clock(Date.now());
  setTimeout(turn, TURN_MS);
}

turn();
