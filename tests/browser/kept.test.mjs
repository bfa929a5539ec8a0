// Nothing that was said is lost: a reload, a lost answer, no connection, a second tab.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  arrived, button, conversation, html, kept, open, reach, record, stage, start, state,
} from "./browser.mjs";

const { gateway, browser } = await stage();

/** Keeps uploads from their answers; `reaches`: the gateway gets them all the same. */
async function withhold(context, { reaches }) {
  const keys = [];
  const hold = async (route, request) => {
    keys.push(request.headers()["idempotency-key"]);
    // Never fulfilled: the page waits until it is gone.
    if (reaches) await route.fetch().catch(() => {});
  };
  await context.route("**/v1/voice-messages", hold);
  return { keys, end: () => context.unroute("**/v1/voice-messages", hold) };
}

for (const reaches of [false, true]) {
  const what = reaches ? "its answer is lost" : "it is on its way";
  test(`a page that is reloaded while ${what} sends it once, under the same key`, async () => {
    const { id, attributes } = conversation();
    const context = await browser.newContext();
    const page = await open(context, gateway.url, html(attributes));
    await record(page, 1_500);
    const [{ key }] = await kept(page);
    const held = await withhold(context, { reaches });
    await button(page, "Send").click();
    await reach(page, "sending");
    const until = Date.now() + 10_000;
    while (held.keys.length === 0 || reaches && (await arrived(gateway, id)).length === 0) {
      assert.ok(Date.now() < until, "the upload began");
      await page.waitForTimeout(100);
    }
    await held.end();
    await page.reload();
    await reach(page, "review");
    await page.getByText(/^Recorded at .*, not sent yet\.$/).waitFor();
    const [request] = await Promise.all([
      page.waitForRequest("**/v1/voice-messages"), button(page, "Send").click(),
    ]);
    assert.equal(request.headers()["idempotency-key"], key);
    assert.deepEqual(held.keys, [key]);
    await reach(page, "sent");
    assert.equal((await arrived(gateway, id)).length, 1);
    assert.deepEqual(await kept(page), []);
  });
}

test("a page that goes away while it records keeps what was said so far", async () => {
  const { attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url, html(attributes));
  // Before the click: on a busy machine the state is seen long after the recording has begun.
  const began = Date.now();
  await start(page).click();
  await reach(page, "recording");
  await page.waitForTimeout(3_400);
  await page.reload();
  const whole = Date.now() - began;
  await reach(page, "review");
  const { ms } = (await kept(page))[0];
  assert.ok(ms >= 1_000 && ms <= whole + 250, `${ms} of ${whole} ms are kept`);
});

test("an element that is moved or replaced while it records offers what was said", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  for (const replaced of [false, true]) {
    await start(page).click();
    await reach(page, "recording");
    await page.waitForTimeout(1_600);
    await page.evaluate(async (replaced) => {
      const element = document.querySelector("voice-message");
      const after = replaced ? element.cloneNode() : element;
      // Some pages put the new one in first.
      if (replaced) element.before(after);
      element.remove();
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (!replaced) document.body.append(after);
    }, replaced);
    await reach(page, "review");
    await button(page, "Delete").click();
    await reach(page, "idle");
  }
});

test("without a connection it waits, and goes out by itself when there is one", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const page = await open(context, gateway.url, html(attributes));
  await context.setOffline(true);
  await record(page, 1_500);
  await button(page, "Send").click();
  await reach(page, "failed");
  await page.getByText(/^No connection\. Your message is kept/).first().waitFor();
  assert.equal((await kept(page)).length, 1);
  assert.deepEqual(await arrived(gateway, id), []);
  await context.setOffline(false);
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("two tabs do not both offer the take, and the second gets it when the first is gone", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const first = await open(context, gateway.url, html(attributes));
  await record(first, 1_500);
  const second = await context.newPage();
  await second.goto(`${gateway.url}/chat`);
  await second.waitForTimeout(700);
  assert.equal(await state(second), "idle");
  await first.close();
  await second.reload();
  await reach(second, "review");
  await button(second, "Send").click();
  await reach(second, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("a take of another conversation, or of another guest, is not offered", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const page = await open(context, gateway.url, html(attributes));
  await record(page, 1_200);
  for (const other of [`conversation-id="${id}x" sender-id="g1"`, `conversation-id="${id}" sender-id="g2"`]) {
    await context.unrouteAll();
    await page.close();
    const stranger = await open(context, gateway.url, html(other));
    await stranger.waitForTimeout(600);
    assert.equal(await state(stranger), "idle");
    await stranger.close();
  }
  await context.unrouteAll();
  const back = await open(context, gateway.url, html(attributes));
  await reach(back, "review");
});

test("a take stays with its conversation when the page goes to another", async () => {
  const [one, other] = [conversation(), conversation()];
  const page = await open(await browser.newContext(), gateway.url, html(one.attributes));
  const turn = (id) => page.evaluate((id) => {
    document.querySelector("voice-message").conversationId = id;
  }, id);
  await record(page, 1_200);
  await turn(other.id);
  await reach(page, "idle");
  // While it records, too.
  await start(page).click();
  await reach(page, "recording");
  await page.waitForTimeout(1_200);
  await turn(one.id);
  await reach(page, "review");
  await button(page, "Send").click();
  await reach(page, "sent");
  await turn(other.id);
  await page.reload();
  await page.waitForFunction(() => document.querySelector("voice-message")?.state === "idle");
  await turn(other.id);
  await reach(page, "review");
  await button(page, "Send").click();
  await reach(page, "sent");
  for (const { id } of [one, other]) assert.equal((await arrived(gateway, id)).length, 1);
  assert.deepEqual(await kept(page), []);
});

test("a take that is recorded again is there until the new one is", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  await record(page, 1_200);
  const before = await kept(page);
  await page.evaluate(() => {
    window.ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
  });
  await button(page, "Record again").click();
  await page.locator("[part=note]").getByText("The microphone is not allowed").waitFor();
  assert.equal(await state(page), "review");
  await page.evaluate(() => (navigator.mediaDevices.getUserMedia = window.ask));
  await button(page, "Record again").click();
  await reach(page, "recording");
  await page.waitForTimeout(1_200);
  await button(page, "Delete").click();
  await reach(page, "review");
  await page.waitForTimeout(300);
  assert.deepEqual(await kept(page), before);
  await button(page, "Record again").click();
  await reach(page, "recording");
  await page.waitForTimeout(1_200);
  await button(page, "Finish").click();
  await reach(page, "review");
  await page.waitForTimeout(300);
  const [after, ...more] = await kept(page);
  assert.deepEqual(more, []);
  assert.notEqual(after.key, before[0].key);
});

test("the text beside the audio is there after a reload", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  await record(page, 1_200);
  await page.getByText("Add the message as text").click();
  await page.getByRole("textbox").fill("Please hold my room.");
  await page.waitForTimeout(700);
  await page.reload();
  await reach(page, "review");
  assert.equal(await page.getByRole("textbox").inputValue(), "Please hold my room.");
});

test("a gateway that is named after the element is there counts for what is kept", async () => {
  const outside = gateway.url.replace("127.0.0.1", "localhost");
  const name = `<script>addEventListener("DOMContentLoaded", () => setTimeout(() => {
    document.querySelector("voice-message").gateway = "${outside}"; }, 50));</script>`;
  const body = html(conversation().attributes, (element) => element + name);
  const page = await open(await browser.newContext(), gateway.url, body);
  await page.waitForTimeout(300);
  await record(page, 1_200);
  await page.reload();
  await reach(page, "review");
});

test("where the browser keeps nothing that is said, and the message goes out", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  await context.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException("", "SecurityError");
    };
    delete Crypto.prototype.randomUUID;
  });
  const page = await open(context, gateway.url, html(attributes));
  await record(page, 1_200);
  await page.locator("[part=note]").getByText("The recording cannot be kept on this device.").waitFor();
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("a store that never answers keeps nobody waiting", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  await context.addInitScript(() => {
    IDBFactory.prototype.open = () => ({});
  });
  const page = await open(context, gateway.url, html(attributes));
  await start(page).click();
  await reach(page, "recording");
  // Something is to be kept each second, and none of it waits for the one before.
  await page.waitForTimeout(6_000);
  const finished = Date.now();
  await button(page, "Finish").click();
  await reach(page, "review");
  assert.ok(Date.now() - finished < 6_000, `${Date.now() - finished} ms`);
  await page.locator("[part=note]").getByText("The recording cannot be kept on this device.").waitFor();
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("a store that is slow to answer gives back what it kept", async () => {
  const context = await browser.newContext();
  const body = html(conversation().attributes);
  const first = await open(context, gateway.url, body);
  await record(first, 1_200);
  await first.close();
  await context.addInitScript(() => {
    const { open } = IDBFactory.prototype;
    IDBFactory.prototype.open = function (...words) {
      const late = {};
      setTimeout(() => {
        const request = open.apply(this, words);
        request.onsuccess = () => {
          late.result = request.result;
          late.onsuccess();
        };
      }, 4_000);
      return late;
    };
  });
  const page = await open(context, gateway.url, body);
  await reach(page, "review");
});

test("of two takes that were kept the older is offered when the newer is sent", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const page = await open(context, gateway.url, html(attributes));
  await record(page, 1_200);
  // Its page is gone while it is recorded again: both are kept.
  await button(page, "Record again").click();
  await reach(page, "recording");
  await page.waitForTimeout(2_200);
  await page.reload();
  await reach(page, "review");
  assert.equal((await kept(page)).length, 2);
  await button(page, "Send").click();
  await reach(page, "sent");
  await button(page, "Record another").click();
  await reach(page, "review");
  await page.getByText(/^Recorded at .*, not sent yet\.$/).waitFor();
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 2);
  await button(page, "Record another").click();
  await reach(page, "recording");
});
