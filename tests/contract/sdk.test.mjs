// The official SDKs, as clients of the sandbox: what they send is taken, and what they are answered
// they understand.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { startSandbox } from "../browser/gateway.mjs";
import { INSTALLED } from "./prism.mjs";

const INTEGRATION = "0be11e55-0000-4000-8000-000000000001";
const CLIP_URL = "https://voice.example.com/media/clip.ogg?a=1&b=2";

let folder;
let sandbox;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "voicepost-sdk-"));
  sandbox = await startSandbox(folder);
});
after(async () => {
  await sandbox?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Whether what the SDK throws carries an error body of the platform. */
const isProblem = (status, code) => (error) => error.status === status && error.code === code
  && Boolean(error.contextId);

test("the JavaScript SDK: sign-in, open message, details, cached media", async () => {
  const platform = createRequire(join(INSTALLED, "package.json"))("purecloud-platform-client-v2");
  const client = platform.ApiClient.instance;
  const { hostname, port } = new URL(sandbox.found);
  client.setGateway({ host: hostname, protocol: "http", port: Number(port) });
  const login = (secret) => client.loginClientCredentialsGrant("sandbox-client", secret);
  await assert.rejects(login("wrong"), ({ response }) => response.status === 400
    && response.data.error === "invalid_client");
  const { accessToken } = await login("sandbox-secret");
  assert.match(accessToken, /^\w{32,}$/);

  const conversations = new platform.ConversationsApi();
  const post = (body, integration = INTEGRATION) => conversations
    .postConversationsMessageInboundOpenMessage(integration, body, { prefetchConversationId: true });
  const message = {
    channel: {
      from: { id: "guest-js", idType: "Opaque", firstName: "Ada", email: "ada@example.com" },
      time: "2026-11-25T12:00:00.000Z", messageId: "js-1",
    },
    text: "Where is it?",
    content: [{ attachment: { mediaType: "Audio", url: CLIP_URL, mime: "audio/ogg" } }],
  };
  const posted = await post(message);
  assert.equal(posted.channel.messageId, "js-1");
  assert.deepEqual(posted.channel.from, message.channel.from);
  assert.equal(posted.content[0].attachment.url, CLIP_URL);
  const untyped = { mediaType: "Audio", url: CLIP_URL };
  for (const wrong of [
    { ...message, channel: { ...message.channel, time: undefined } },
    { ...message, content: [{ attachment: untyped }] },
  ]) {
    await assert.rejects(post(wrong), isProblem(400, "bad.request"));
  }
  await assert.rejects(post(message, "0be11e55-0000-4000-8000-0000000000ff"),
    isProblem(404, "not.found"));

  const details = await conversations.getConversationsMessageDetails(posted.id);
  assert.equal(details.providerMessageId, "js-1");
  assert.equal(details.conversationId, posted.conversationId);
  assert.equal(details.normalizedMessage.content[0].attachment.mediaType, "Audio");
  const conversation = await conversations.getConversationsMessage(posted.conversationId);
  const guest = conversation.participants.find(({ purpose }) => purpose === "customer");
  assert.equal(guest.messages[0].messageId, posted.id);

  const list = async () => (await conversations
    .getConversationsMessagesCachedmedia({ url: CLIP_URL, pageSize: 25, pageNumber: 1 })).entities;
  const [item, ...others] = await list();
  assert.deepEqual([item.url, others.length], [CLIP_URL, 0]);
  await conversations.deleteConversationsMessagesCachedmediaCachedMediaItemId(item.id);
  for (let looks = 0; looks < 50 && (await list()).length > 0; looks += 1) await pause(100);
  assert.deepEqual(await list(), []);
});

test("the Python SDK: the same", async () => {
  const python = join(INSTALLED, "venv/bin/python");
  const script = new URL("sdk.py", import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(python, [script, sandbox.found, INTEGRATION]);
  assert.match(stdout, /^ok: \w{8}-\S+\n$/);
});
