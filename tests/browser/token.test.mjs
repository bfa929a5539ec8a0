// The guest's token: sent with each request, and asked for anew where the gateway refuses it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  arrived, button, conversation, html, kept, open, reach, record, stage, start, state,
} from "./browser.mjs";

const { gateway, browser } = await stage();

/** A gateway that knows one token: what it is asked with another is refused before it gets there. */
async function guarded(context, good) {
  const seen = [];
  await context.route(/\/v1\/voice-messages/, (route, request) => {
    const given = request.headers().authorization;
    seen.push(given);
    if (given === `Bearer ${good}`) return route.continue();
    return route.fulfill({
      status: 401, contentType: "application/problem+json",
      body: JSON.stringify({ code: "unauthorized", status: 401, retryable: false }),
    });
  });
  return seen;
}

test("a token that has run out is replaced while the message waits", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const seen = await guarded(context, "new");
  const page = await open(context, gateway.url, html(`${attributes} token="old"`));
  await page.evaluate(() => document.querySelector("voice-message")
    .addEventListener("token-needed", ({ detail }) => detail.respondWith(Promise.resolve("new"))));
  await record(page, 1_200);
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.deepEqual(seen.slice(0, 2), ["Bearer old", "Bearer new"]);
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("where the page has none, the message waits for it", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  await guarded(context, "later");
  const page = await open(context, gateway.url, html(`${attributes} token="old"`));
  await record(page, 1_200);
  await button(page, "Send").click();
  await reach(page, "failed");
  await page.locator("[part=note]").getByText("Your session has run out.").waitFor();
  await page.evaluate(() => document.querySelector("voice-message").setAttribute("token", "later"));
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("a provider is asked where there is no token, and where the last was refused", async () => {
  const { attributes } = conversation();
  const context = await browser.newContext();
  const seen = await guarded(context, "t2");
  const page = await open(context, gateway.url, html(attributes));
  await page.evaluate(() => {
    window.asked = [];
    document.querySelector("voice-message").tokenProvider = async ({ renew }) => {
      window.asked.push(renew);
      return renew ? "t2" : "t1";
    };
  });
  await record(page, 1_200);
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.deepEqual(seen.slice(0, 2), ["Bearer t1", "Bearer t2"]);
  assert.deepEqual(await page.evaluate(() => window.asked), [false, true]);
  // What it gave holds for the next message.
  const before = seen.length;
  await button(page, "Record another").click();
  await reach(page, "recording");
  await page.waitForTimeout(1_200);
  await button(page, "Finish").click();
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.deepEqual([...new Set(seen.slice(before))], ["Bearer t2"]);
  assert.deepEqual(await page.evaluate(() => window.asked), [false, true]);
});

/** A token as a backend makes it, but for its signature. */
function token(sub, jti) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part({ sub, conversation_id: "c1", jti })}.x`;
}

test("where only a token names the guest, another guest is not offered the take", async () => {
  const context = await browser.newContext();
  const offered = async (guest) => {
    await context.unrouteAll();
    const page = await open(context, gateway.url, html(`token="${guest}"`));
    await start(page).or(button(page, "Send")).waitFor();
    await page.waitForTimeout(500);
    return page;
  };
  const first = await offered(token("anna", 1));
  await record(first, 1_200);
  await first.close();
  const other = await offered(token("ben", 2));
  assert.equal(await state(other), "idle");
  await other.close();
  const again = await offered(token("anna", 3));
  assert.equal(await state(again), "review");
});

test("what the page sets before the script is there holds", async () => {
  const { id } = conversation();
  const context = await browser.newContext();
  const seen = await guarded(context, "early");
  const early = `<script>Object.assign(document.querySelector("voice-message"), {
    token: "early", conversationId: "${id}", senderId: "g1", texts: { record: "Speak" },
  });</script>`;
  const page = await open(context, gateway.url, html("", (element) => element + early));
  await page.getByRole("button", { name: /^Speak/ }).click();
  await reach(page, "recording");
  await page.waitForTimeout(1_200);
  await button(page, "Finish").click();
  await reach(page, "review");
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.equal(seen[0], "Bearer early");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("a source of tokens that fails without a connection is no session that ended", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const page = await open(context, gateway.url, html(attributes));
  await page.evaluate(() => {
    document.querySelector("voice-message").tokenProvider = async () => {
      if (!navigator.onLine) throw new TypeError("Failed to fetch");
      return "t";
    };
  });
  await record(page, 1_200);
  await context.setOffline(true);
  await button(page, "Send").click();
  await page.locator("[part=note]").getByText("No connection.").waitFor();
  await context.setOffline(false);
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("a page that cannot give a token, nor say who speaks, is no page without an end", async () => {
  const context = await browser.newContext();
  await guarded(context, "none");
  const page = await open(context, gateway.url, html(`token="old" ${conversation().attributes}`));
  await page.evaluate(() => document.querySelector("voice-message").addEventListener("token-needed",
    ({ detail }) => detail.respondWith(Promise.reject(new Error("no session")))));
  await record(page, 1_200);
  await button(page, "Send").click();
  await page.locator("[part=note]").getByText("Your session has run out.").waitFor();
  await page.close();

  // Without attributes nobody knows whose take it is, so it is not kept for the next one.
  const nameless = await open(await browser.newContext(), gateway.url, html());
  await nameless.evaluate(() => {
    document.querySelector("voice-message").tokenProvider = () => Promise.reject(new Error("down"));
  });
  await record(nameless, 1_200);
  await nameless.locator("[part=note]").getByText("The recording cannot be kept").waitFor();
});

test("a new token that is another guest's sends nothing of the first", async () => {
  const context = await browser.newContext();
  const [anna, ben] = [token("anna", 1), token("ben", 2)];
  const seen = await guarded(context, ben);
  const page = await open(context, gateway.url, html(`token="${anna}"`));
  // Somebody else signed in meanwhile, in the same browser.
  await page.evaluate((ben) => document.querySelector("voice-message")
    .addEventListener("token-needed", ({ detail }) => detail.respondWith(ben)), ben);
  await record(page, 1_200);
  await page.evaluate(() => {
    window.failed = [];
    document.querySelector("voice-message")
      .addEventListener("failed", ({ detail }) => window.failed.push(detail.code));
  });
  await button(page, "Send").click();
  await reach(page, "idle");
  await page.locator("[part=note]").getByText("Your session has run out.").waitFor();
  assert.deepEqual(await page.evaluate(() => window.failed), ["other-guest"]);
  assert.deepEqual(seen, [`Bearer ${anna}`]);
  assert.equal((await kept(page)).length, 1, "it waits for whoever said it");
  await page.evaluate((anna) => (document.querySelector("voice-message").token = anna), anna);
  await reach(page, "review");
});

test("a take whose sending is taken back is not shown to the guest who came meanwhile", async () => {
  const context = await browser.newContext();
  const [anna, ben] = [token("anna", 1), token("ben", 2)];
  // Never fulfilled, and not all given: the sending can be taken back.
  await context.route("**/v1/voice-messages", () => {});
  const page = await open(context, gateway.url, html(`token="${anna}"`));
  await record(page, 1_200);
  await button(page, "Send").click();
  await reach(page, "sending");
  await page.evaluate((ben) => (document.querySelector("voice-message").token = ben), ben);
  await page.evaluate(() => document.querySelector("voice-message").cancel());
  await reach(page, "idle");
  assert.equal((await kept(page)).length, 1);
});
