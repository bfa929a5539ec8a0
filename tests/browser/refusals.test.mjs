// What the gateway refuses is said in the guest's words, and goes on where it can.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, button, conversation, html, open, reach, stage, start } from "./browser.mjs";
import { startRefusing } from "./gateway.mjs";
import { offerClip } from "./states.mjs";

const { gateway, browser } = await stage();

/** A page whose uploads are answered by these one after the other, and then by the gateway. */
async function answered(...answers) {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const keys = [];
  await context.route("**/v1/voice-messages", (route, request) => {
    keys.push(request.headers()["idempotency-key"]);
    const [status, code, retryable, headers = {}, id] = answers.shift() ?? [];
    if (!status) return route.continue();
    return route.fulfill({
      status, headers: { "content-type": "application/problem+json", ...headers },
      body: JSON.stringify({ code, status, retryable, title: code, detail: code, id }),
    });
  });
  const page = await open(context, gateway.url, html(attributes));
  await start(page).waitFor();
  await offerClip(page);
  await button(page, "Send").click();
  return { id, page, keys };
}

const REFUSALS = [
  [429, "quota-exceeded", true, "That was many messages in a short time.", { "retry-after": "40" }],
  [503, "purge-backlog", true, "It does not get through just now.", { "retry-after": "30" }],
  [404, "conversation-not-found", false, "This conversation has ended"],
  [413, "too-large", false, "This recording is too long to be sent."],
  [403, "forbidden", false, "Your session has run out."],
  [422, "audio-corrupted", false, "The message could not be delivered."],
];

for (const [status, code, retryable, text, headers] of REFUSALS) {
  test(`${status} ${code}`, async () => {
    const { id, page, keys } = await answered([status, code, retryable, headers]);
    await reach(page, "failed");
    await page.locator("[part=note]").getByText(text).waitFor();
    // The guest may try again by hand, and it is the same message.
    await button(page, "Try again").click();
    await reach(page, "sent");
    assert.equal(new Set(keys).size, 1);
    assert.equal((await arrived(gateway, id)).length, 1);
  });
}

test("a short trouble passes without a word", async () => {
  const { id, page, keys } = await answered(
    [503, "busy", true, { "retry-after": "1" }], [409, "in-progress", true, { "retry-after": "1" }],
  );
  await reach(page, "sent");
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("what may have been passed on is not offered to be sent again", async () => {
  const { page, keys } = await answered([409, "undecided", false, { "retry-after": "1" }, "m1"]);
  await page.getByText("It has arrived.").first().waitFor();
  await page.waitForTimeout(2_500);
  assert.equal(await button(page, "Try again").count(), 0);
  assert.equal(keys.length, 1);
  // Nor after the page is opened again.
  await page.reload();
  await start(page).waitFor();
  assert.equal(await button(page, "Send").count(), 0);
});

for (const [what, status, code, headers] of [
  ["between two tries", 503, "busy", { "retry-after": "6" }],
  ["while a token is waited for", 401, "unauthorized", {}],
]) {
  test(`a message that was refused can be taken back ${what}`, async () => {
    const refusing = await startRefusing(status, code, headers);
    try {
      const page = await open(await browser.newContext(), gateway.url,
        html(`${conversation().attributes} token="t" gateway="${refusing.url}"`));
      await start(page).waitFor();
      await page.evaluate(() => document.querySelector("voice-message")
        .addEventListener("token-needed", ({ detail }) => detail.respondWith(new Promise(() => {}))));
      await offerClip(page);
      const answered = page.waitForResponse(`${refusing.url}/v1/voice-messages`);
      const ended = page.evaluate(() => document.querySelector("voice-message").send());
      await answered;
      await button(page, "Cancel").click({ timeout: 3_000 });
      await reach(page, "review");
      await ended;
      assert.equal(refusing.posts(), 1);
      await button(page, "Send").waitFor();
    } finally {
      await refusing.stop();
    }
  });
}

test("a message that fails after it was accepted is told, and another try is another message", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const page = await open(context, gateway.url, html(attributes));
  await start(page).waitFor();
  await offerClip(page);
  // The conversation ends while the message is on its way: the answer waits for less than the post.
  await context.route("**/v1/voice-messages", async (route, request) => {
    await route.continue({ headers: { ...request.headers(), prefer: "respond-async" } });
  });
  await gateway.faults([{ endpoint: "post", times: 1, do: { status: 404, latency_ms: 1_500 } }]);
  await button(page, "Send").click();
  await reach(page, "delivering");
  await page.getByRole("status").getByText("Arrived, being passed on").waitFor();
  await reach(page, "failed");
  await page.locator("[part=note]").getByText("This conversation has ended").waitFor();
  await button(page, "Try again").click();
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("a failure that is answered at once belongs to its key: another try has another", async () => {
  await gateway.faults([{ endpoint: "post", times: 1, do: { status: 404 } }]);
  const { id, page, keys } = await answered();
  await reach(page, "failed");
  await page.locator("[part=note]").getByText("This conversation has ended").waitFor();
  await button(page, "Try again").click();
  await reach(page, "sent");
  assert.equal(new Set(keys).size, 2);
  assert.equal((await arrived(gateway, id)).length, 1);
});

const HELD = { id: "m1", status: "held", purge: { state: "scheduled" } };
const IN_DOUBT = {
  ...HELD, status: "failed", delivery: { possible_duplicate: true },
  error: { code: "expired", detail: "expired" },
};
for (const [what, status, body] of [
  ["is forgotten", 404, { code: "message-not-found" }],
  ["may not be asked for", 401, { code: "unauthorized" }],
  ["is held back", 200, HELD],
  ["has failed and may have been passed on", 200, IN_DOUBT],
]) {
  test(`a message that ${what} once the gateway has it leaves a way on`, async () => {
    const context = await browser.newContext();
    const answer = (route, status, body) => route.fulfill({
      status, contentType: "application/json", body: JSON.stringify(body),
    });
    await context.route("**/v1/voice-messages", (route) => answer(route, 202, {
      ...HELD, status: "accepted",
    }));
    await context.route("**/v1/voice-messages/m1**", (route) => answer(route, status, body));
    const page = await open(context, gateway.url, html(`${conversation().attributes} token="t"`));
    await start(page).waitFor();
    await page.evaluate(() => {
      window.asked = 0;
      document.querySelector("voice-message").addEventListener("token-needed", () => (window.asked += 1));
    });
    await offerClip(page);
    await button(page, "Send").click();
    await page.locator("[part=note]").getByText("It has arrived.").waitFor();
    await page.waitForTimeout(3_000);
    assert.equal(await page.evaluate(() => window.asked), status === 401 ? 1 : 0);
    await button(page, "Record another").click();
    await reach(page, "recording");
  });
}
