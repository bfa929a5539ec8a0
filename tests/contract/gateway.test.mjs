// The gateway sends clips the whole way through Prism: every call it makes on the route
// open-messaging is one that the public API's description knows, and so is every answer of the
// sandbox.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startGateway } from "../browser/gateway.mjs";
import { startPrism } from "./prism.mjs";

const INTEGRATION = "0be11e55-0000-4000-8000-000000000001";
const SECRET = "a-webhook-secret-of-24-c";
const CLIP = new URL("../fixtures/audio/hello.ogg", import.meta.url);

let folder;
let prism;
let gateway;
before(async () => {
  process.env.VOICEPOST_WEBHOOK_SECRET = SECRET;
  folder = await mkdtemp(join(tmpdir(), "voicepost-contract-"));
  gateway = await startGateway(async (sandbox) => {
    prism = await startPrism(sandbox, folder);
    return {
      GENESYS__ROUTE: "open-messaging", GENESYS__LOGIN_URL: prism.url, GENESYS__API_URL: prism.url,
      GENESYS__OPEN_MESSAGING__INTEGRATION_ID: INTEGRATION,
      PUBLIC__BASE_URL: "http://127.0.0.1:1", LEDGER__FREE_BYTES_MIN: 0,
      PURGE__DELAY_SECONDS_MIN: 1,
    };
  });
});
after(async () => {
  await gateway?.stop();
  await prism?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function send() {
  const form = new FormData();
  form.set("file", new Blob([await readFile(CLIP)]), "hello.ogg");
  form.set("sender_id", "guest-1");
  form.set("transcript", "My parcel has not arrived yet.");
  const answer = await fetch(`${gateway.url}/v1/voice-messages`, { method: "POST", body: form });
  const receipt = await answer.json();
  assert.equal(answer.status, 201, `${JSON.stringify(receipt)}\n${prism.violations().join("\n")}`);
  return receipt;
}

/** Withdraws a message and waits until all its copies have come to their end. */
async function purge({ id }) {
  const url = `${gateway.url}/v1/voice-messages/${id}`;
  const asked = await fetch(url, { method: "DELETE" });
  assert.equal(asked.status, 202);
  let receipt;
  for (let looks = 0; looks < 150; looks += 1) {
    receipt = await (await fetch(url)).json();
    if (receipt.purge.copies.every(({ state }) => state !== "owed" && state !== "due")) break;
    await pause(200);
  }
  return Object.fromEntries(receipt.purge.copies.map(({ kind, state }) => [kind, state]));
}

const atSandbox = async (path, body) => (await fetch(`${gateway.sandbox}/sandbox/${path}`, {
  method: body ? "POST" : "GET", body: body && JSON.stringify(body),
})).text();

/** What Genesys was told of the agents' answers, once it was told of so many. */
async function receipts(count) {
  for (let looks = 0; looks < 150; looks += 1) {
    const told = JSON.parse(await atSandbox("answers")).flatMap((answer) => answer.receipts);
    if (told.length >= count) return told.map(({ status }) => status);
    await pause(200);
  }
  throw new Error(`not ${count} receipts: ${await atSandbox("answers")}`);
}

test("an agent's answer is told as delivered or failed, within the description", async () => {
  const { conversation_id } = await send();
  const url = `${gateway.url}/webhooks/open-messaging`;
  await atSandbox("webhook", { url, secret: SECRET });
  const stop = new AbortController();
  const stream = await fetch(`${gateway.url}/v1/conversations/${conversation_id}/events`, {
    signal: stop.signal,
  });
  assert.equal(stream.status, 200);
  await atSandbox("answers", { conversation_id, text: "I have found it." });
  assert.deepEqual(await receipts(1), ["Delivered"]);
  stop.abort();

  // One with nothing to show; its own call goes nowhere, and this test brings it, emptied.
  await atSandbox("webhook", { url: "http://127.0.0.1:1/", secret: SECRET });
  await atSandbox("answers", { conversation_id, text: "x" });
  const { id } = JSON.parse(await atSandbox("answers")).at(-1);
  const body = JSON.stringify({ id, type: "Text", text: " ", channel: { to: { id: "guest-1" } } });
  const tag = createHmac("sha256", SECRET).update(body).digest("base64");
  const headers = { "x-hub-signature-256": `sha256=${tag}` };
  assert.equal((await fetch(url, { method: "POST", body, headers })).status, 200);
  assert.deepEqual((await receipts(2)).sort(), ["Delivered", "Failed"]);

  assert.deepEqual(await prism.settled(), []);
  const told = prism.calls().filter((call) => call.endsWith("/inbound/open/receipt"));
  assert.equal(told.length, 2, told.join("\n"));
});

test("a clip goes the whole way, its answer lost once, and out again, within the description",
  async () => {
    const first = await send();
    // The message arrives, its answer does not: the gateway looks it up.
    await gateway.faults([{
      endpoint: "inbound-message", times: 1, do: { status: 503, effect: true },
    }]);
    const second = await send();
    assert.equal(second.conversation_id, first.conversation_id);
    assert.equal(second.delivery.possible_duplicate, false);
    assert.deepEqual(await purge(second),
      { "cached-media": "gone", "hosted-file": "gone", recording: "not-possible" });

    assert.deepEqual(await prism.settled(), []);
    const seen = prism.calls().map((call) => decodeURIComponent(call).replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID"));
    const base = "/api/v2/conversations/messages";
    for (const wanted of [
      /^POST \/oauth\/token$/,
      new RegExp(`^POST ${base}/ID/inbound/open/message\\?prefetchConversationId=true$`),
      new RegExp(`^GET ${base}/ID$`),
      new RegExp(`^GET ${base}/ID/messages/ID$`),
      new RegExp(`^GET ${base}/cachedmedia\\?url=`),
      new RegExp(`^DELETE ${base}/cachedmedia/ID$`),
    ]) {
      assert.ok(seen.some((call) => wanted.test(call)), `${wanted} in\n${seen.join("\n")}`);
    }
  });
