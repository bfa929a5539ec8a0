// `voicepost doctor` through Prism: what it asks is what the description knows, but for the two
// calls that are meant to be answered with a no.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run, startSandbox } from "../browser/gateway.mjs";
import { startPrism } from "./prism.mjs";

const INTEGRATION = "0be11e55-0000-4000-8000-000000000001";

test("doctor asks nothing that the description does not know", async () => {
  const folder = await mkdtemp(join(tmpdir(), "voicepost-doctor-"));
  const sandbox = await startSandbox(folder);
  const prism = await startPrism(sandbox.found, folder);
  const settings = {
    GENESYS_CLIENT_ID: "sandbox-client", GENESYS_CLIENT_SECRET: "sandbox-secret",
    VOICEPOST__GENESYS__ROUTE: "open-messaging",
    VOICEPOST__GENESYS__OPEN_MESSAGING__INTEGRATION_ID: INTEGRATION,
    VOICEPOST__GENESYS__LOGIN_URL: prism.url, VOICEPOST__GENESYS__API_URL: prism.url,
    VOICEPOST__PUBLIC__BASE_URL: "http://127.0.0.1:1",
  };
  try {
    const doctor = await run(process.env.VOICEPOST, ["doctor"], { ...process.env, ...settings },
      folder, (line) => /would fail$/.test(line));
    const missed = doctor.said().split("\n").filter((line) => /^fail/.test(line));
    assert.deepEqual(missed.filter((line) => /permission|credentials|login/.test(line)), []);
    // The look at the host itself, and a message without a channel.
    const [host, body, ...others] = await prism.settled();
    assert.match(host, /^request Selected route not found/);
    assert.match(body, /^request\.body .*required property 'channel'/);
    assert.deepEqual(others, []);
    const seen = prism.calls().map((call) => decodeURIComponent(call));
    assert.ok(seen.includes(
      `GET /api/v2/conversations/messaging/integrations/open/${INTEGRATION}`), seen.join("\n"));
  } finally {
    await prism.stop();
    await sandbox.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
