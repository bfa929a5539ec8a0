// What a guest does with the demo's page, in whatever browser: record, listen, send. And what has to be
// true afterwards.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs in the page. Returns what was recorded and what arrived. */
export async function visit() {
  const recorder = document.getElementById("recorder");
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const until = async (what, ready) => {
    for (let turn = 0; turn < 300; turn += 1) {
      if (await ready()) return;
      await sleep(100);
    }
    throw new Error(`in vain: ${what}; the recorder is ${recorder.state}: ${
      recorder.shadowRoot.querySelector("[part=panel]")?.textContent}`);
  };
  const find = (selector) => recorder.shadowRoot.querySelector(selector);
  const press = (part) => find(`[part=${part}]`).click();
  let recorded;
  recorder.addEventListener("recorded", ({ detail }) => (recorded = detail));
  await until("the button", () => recorder.state === "idle" && find("[part=record]"));
  press("record");
  await until("the recording", () => recorder.state === "recording");
  await sleep(4_000);
  press("stop");
  await until("the take", () => recorder.state === "review");
  find("[part=play]").click();
  await until("the playback", () => Number(find("[part=seek]").value) > 50);
  press("send");
  await until("the delivery", () => recorder.state === "sent");
  const { posts, uploads } = await (await fetch("/sandbox/account")).json();
  const mine = posts.filter((post) => post.conversation_id === recorder.conversationId);
  const upload = uploads.find((upload) => upload.media_id === mine[0].media_id);
  const { pathname, search } = new URL(upload.media_url);
  const clip = new Uint8Array(await (await fetch(pathname + search)).arrayBuffer());
  return {
    browser: navigator.userAgent, posts: mine.length, type: recorded.type,
    shown_ms: recorded.duration_ms, waveform: recorded.waveform?.length,
    from: recorder.receipt.media.converted_from, media_type: upload.media_type,
    clip: btoa(Array.from(clip, (byte) => String.fromCharCode(byte)).join("")),
  };
}

/** Holds the result to what was promised. */
export function check(seen, types) {
  const folder = mkdtempSync(join(tmpdir(), "voicepost-browsers-"));
  const file = join(folder, "clip.ogg");
  writeFileSync(file, Buffer.from(seen.clip, "base64"));
  const said = execFileSync(process.env.VOICEPOST, ["inspect", "--waveform", file], { stdio: ["ignore", "pipe", "ignore"] });
  rmSync(folder, { recursive: true });
  const heard = JSON.parse(said);
  delete seen.clip;
  console.log(JSON.stringify({ ...seen, heard_ms: heard.duration_ms, codec: heard.codec }));
  assert.match(seen.type, types);
  assert.equal(seen.posts, 1);
  assert.equal(seen.media_type, "audio/ogg");
  assert.equal(heard.codec, "opus");
  // WebKitGTK writes the first piece of an MP4 twice, and plays it twice; the gateway takes it once.
  const twice = seen.type.startsWith("audio/mp4") ? 1_100 : 0;
  const more_ms = seen.shown_ms - heard.duration_ms;
  assert.ok(more_ms > -250 && more_ms < 250 + twice, `${more_ms} ms more were shown than arrived`);
  // A sound server on a busy machine loses some of the four seconds.
  assert.ok(heard.duration_ms > 1_500, "most of what was said is there");
  assert.equal(heard.silent, false, "something is to be heard");
}
