// In the pages of others: frameworks and servers, other origins, a chat with its own buttons.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, test } from "node:test";
import {
  arrived, button, conversation, html, kept, open, reach, record, stage, start,
} from "./browser.mjs";
import { startGateway } from "./gateway.mjs";

const { gateway, browser } = await stage();

test("a property that a framework takes away takes its attribute away", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  await start(page).waitFor();
  const left = await page.evaluate(() => {
    const element = document.querySelector("voice-message");
    const own = element.gateway;
    Object.assign(element, { conversationId: "c", senderId: "g", gateway: "https://voice.example" });
    const given = element.gateway;
    Object.assign(element, { conversationId: undefined, senderId: null, gateway: undefined });
    const names = ["conversation-id", "sender-id", "gateway"].filter((name) => element.hasAttribute(name));
    return { names, given, isOwn: element.gateway === own };
  });
  assert.deepEqual(left, { names: [], given: "https://voice.example", isOwn: true });
});

test("a server that makes pages can import the module", async () => {
  const { VoiceMessage } = await import("../../web/src/voicepost.js");
  assert.equal(typeof VoiceMessage, "function");
  assert.equal(globalThis.customElements, undefined);
});

/** A shop's own server, of another origin than the gateway's; `serve(html, headers)` gives it a page. */
async function startShop() {
  let page = ["", {}];
  const server = createServer((request, response) => {
    const [body, headers] = page;
    response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...headers }).end(body);
  });
  await new Promise((resolve) => server.listen(0, resolve));
  after(() => server.close());
  return { url: `http://localhost:${server.address().port}`, serve: (...next) => (page = next) };
}

/** The function that docs/recorder.md gives to backends. */
async function documentedToken() {
  const docs = await readFile(new URL("../../docs/recorder.md", import.meta.url), "utf8");
  const [, code] = /```js\n(import \{ createHmac.*?)```/s.exec(docs);
  const { guestToken } = await import(`data:text/javascript,${encodeURIComponent(`${code}
    export { guestToken };`)}`);
  return guestToken;
}

test("on a page of another origin, with the documented token, policy and integrity", async () => {
  const shop = await startShop();
  process.env.VOICEPOST_JWT_SECRET = "a secret of the test, and of nothing else";
  const voice = await startGateway({ CORS__ORIGINS: shop.url, AUTH__JWT_AUDIENCE: "voice" });
  after(() => voice.stop());
  const { id } = conversation();
  const guestToken = await documentedToken();
  const [late, good] = [-60, 600].map((seconds) => guestToken(process.env.VOICEPOST_JWT_SECRET, {
    guest: "anna", conversation: id, audience: "voice", seconds,
  }));
  const script = Buffer.from(await (await fetch(`${voice.url}/voicepost.js`)).arrayBuffer());
  const digest = createHash("sha384").update(script).digest("base64");
  const pinned = `src="${voice.url}/voicepost.js" integrity="sha384-${digest}" crossorigin="anonymous"`;
  shop.serve(html(`token="${late}"`).replace('src="/voicepost.js"', pinned), {
    "content-security-policy": `default-src 'none'; script-src ${voice.url}; connect-src ${voice.url}; `
      + "media-src blob:; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'",
  });
  // Without a route of the test: with one, the questions that go before requests are answered by it.
  const page = await (await browser.newContext()).newPage();
  await page.goto(shop.url);
  await page.evaluate((good) => {
    window.needed = 0;
    window.kinds = new Set();
    const recorder = document.querySelector("voice-message");
    recorder.addEventListener("token-needed", ({ detail }) => {
      window.needed += 1;
      detail.respondWith(good);
    });
    for (const name of ["progress", "status"]) {
      recorder.addEventListener(name, () => window.kinds.add(name));
    }
  }, good);
  await record(page, 1_500);
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.equal(await page.evaluate(() => window.needed), 1);
  assert.deepEqual(await page.evaluate(() => [...window.kinds].sort()), ["progress", "status"]);
  assert.equal((await arrived(voice, id)).length, 1);
});

test("a chat with its own buttons hides the element and has its methods and events", async () => {
  const { id, attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url, html(`${attributes} hidden`));
  await page.waitForFunction(() => document.querySelector("voice-message").state === "idle");
  const take = (then) => page.evaluate(async (then) => {
    const recorder = document.querySelector("voice-message");
    const told = [];
    for (const name of ["recorded", "discarded", "sent", "failed"]) {
      recorder.addEventListener(name, (event) => {
        told.push(name);
        if (name !== "recorded") return;
        window.blob = event.detail.blob;
        if (then === "keep") event.preventDefault();
      });
    }
    await recorder.record();
    recorder.pause();
    recorder.resume();
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    await recorder.stop();
    if (then !== "keep") await recorder[then]();
    return { told, bytes: window.blob.size };
  }, then);
  const discarded = await take("discard");
  assert.deepEqual(discarded.told, ["recorded", "discarded"]);
  await reach(page, "idle");
  const keeps = await take("keep");
  assert.deepEqual(keeps.told, ["recorded"]);
  assert.ok(keeps.bytes > 1_000, `${keeps.bytes} bytes were handed over`);
  await reach(page, "idle");
  assert.deepEqual(await kept(page), [], "what the page has taken over is not kept here");
  await page.reload();
  const sent = await take("send");
  assert.deepEqual(sent.told, ["recorded", "sent"]);
  assert.equal(await page.locator("[part=panel]").isVisible(), false);
  assert.equal((await arrived(gateway, id)).length, 1);
});
