// In the pages of others: frameworks and servers, other origins, a chat with its own buttons.
import assert from "node:assert/strict";
import { test } from "node:test";
import { conversation, html, open, stage, start } from "./browser.mjs";

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
