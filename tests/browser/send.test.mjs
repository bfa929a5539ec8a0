// A guest records, listens and sends; the agent's side holds what was said.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import {
  SPEECH, arrived, button, conversation, html, kept, open, reach, record, stage, start,
} from "./browser.mjs";
import { offerWav } from "./states.mjs";
import { likeness, listen } from "./sound.mjs";

const { gateway, browser } = await stage();

test("what is said arrives as Ogg Opus with its length and sound", async () => {
  const { id, attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url, html(attributes));
  await page.evaluate(() => {
    window.told = [];
    const recorder = document.querySelector("voice-message");
    for (const name of ["recorded", "progress", "sent", "failed"]) {
      recorder.addEventListener(name, ({ detail }) => window.told.push({ name, detail: {
        ...detail, blob: undefined, type: detail.type,
      } }));
    }
  });
  await start(page).click();
  await reach(page, "recording");
  const began = Date.now();
  // The level moves with the voice.
  const drawing = () => page.locator("[part=level] path").getAttribute("d");
  await page.waitForTimeout(1_200);
  const seen = new Set((await drawing()).match(/v[\d.]+/g));
  assert.ok(seen.size > 8, `the level is drawn with ${seen.size} heights`);
  // The whole of it is seen at every width: nothing of the drawing leaves its box.
  for (const width of [300, 480]) {
    const cut = await page.evaluate((width) => {
      const recorder = document.querySelector("voice-message");
      recorder.style.width = `${width}px`;
      const level = recorder.shadowRoot.querySelector("[part=level]");
      const [box, drawn] = [level, level.firstChild].map((one) => one.getBoundingClientRect());
      return Math.max(box.top - drawn.top, drawn.bottom - box.bottom, box.left - drawn.left);
    }, width);
    assert.ok(cut <= 0.5, `${cut} pixels are cut off at ${width}`);
  }
  await page.waitForTimeout(3_000);
  await button(page, "Finish").click();
  const whole = Date.now() - began;
  await reach(page, "review");
  assert.equal((await kept(page)).length, 1, "the take is kept until the gateway has it");

  await button(page, "Play").click();
  await button(page, "Pause playback").waitFor();
  await page.waitForFunction(() => document.querySelector("voice-message").shadowRoot
    .querySelector("[part=seek]").value > 50);
  await page.getByRole("button", { name: "Speed 1×" }).click();
  await page.getByRole("button", { name: "Speed 1.5×" }).click();
  await page.getByRole("button", { name: "Speed 2×" }).waitFor();

  await button(page, "Send").click();
  await reach(page, "sent");
  assert.deepEqual(await kept(page), [], "nothing is kept any more");
  const told = await page.evaluate(() => window.told);
  const names = told.map(({ name }) => name);
  assert.ok(names.includes("progress"), `${names}`);
  assert.deepEqual(names.filter((name) => name !== "progress"), ["recorded", "sent"]);
  const { receipt } = told.at(-1).detail;
  assert.equal(receipt.status, "sent");
  assert.equal(receipt.conversation_id, id);
  assert.equal(receipt.media.converted_from, "audio/webm;codecs=opus");

  const [post, ...more] = await arrived(gateway, id);
  assert.deepEqual(more, []);
  assert.equal(post.upload.media_type, "audio/ogg");
  assert.match(post.upload.file_name, /\.ogg$/);
  const bytes = await gateway.clip(post.upload);
  assert.equal(bytes.subarray(0, 4).toString(), "OggS");
  assert.equal(bytes.subarray(28, 36).toString(), "OpusHead");
  const heard = await listen(page, bytes);
  const spoken = await listen(page, await readFile(SPEECH));
  const { duration_ms: shown } = told.find(({ name }) => name === "recorded").detail;
  assert.ok(Math.abs(heard.ms - shown) < 150, `${heard.ms} ms arrived, ${shown} ms were shown`);
  assert.ok(heard.ms > 3_400 && heard.ms < whole + 1_000, `${heard.ms} of ${whole} ms arrived`);
  const ratio = heard.rms / spoken.rms;
  assert.ok(ratio > 0.3 && ratio < 3, `${ratio} times as loud as what was said`);
  const alike = likeness(heard.course, spoken.course);
  assert.ok(alike > 0.7, `the sound rises and falls with what was said: ${alike}`);
});

test("a pause is not part of the message", async () => {
  const { id, attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url, html(attributes));
  await start(page).click();
  await reach(page, "recording");
  const began = Date.now();
  await page.waitForTimeout(1_500);
  await button(page, "Pause").click();
  await reach(page, "paused");
  const paused = Date.now();
  await page.waitForTimeout(5_000);
  const pause = Date.now() - paused;
  await button(page, "Go on recording").click();
  await reach(page, "recording");
  await page.waitForTimeout(1_000);
  await button(page, "Finish").click();
  const whole = Date.now() - began;
  await reach(page, "review");
  await button(page, "Send").click();
  await reach(page, "sent");
  const [post] = await arrived(gateway, id);
  const { ms } = await listen(page, await gateway.clip(post.upload));
  const spoken = whole - pause;
  // Neither clicks nor encoders are on time on a busy machine; half the pause is room enough.
  assert.ok(ms > 1_500 && ms < whole - pause / 2,
    `${ms} ms arrived, where ${spoken} of ${whole} ms were no pause`);
});

test("what is deleted is gone, and the text beside the audio arrives", async () => {
  const { id, attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url, html(attributes));
  await record(page, 1_200);
  await button(page, "Delete").click();
  await reach(page, "idle");
  await page.waitForTimeout(200);
  assert.deepEqual(await kept(page), []);
  await record(page, 1_200);
  await page.getByText("Add the message as text").click();
  await page.getByRole("textbox").fill("Please hold my room.");
  await button(page, "Send").click();
  await reach(page, "sent");
  const posts = await arrived(gateway, id);
  assert.deepEqual(posts.map((post) => post.transcript), ["Please hold my room."]);
});

test("a slow connection shows how far it is, and can be taken back", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  const page = await open(context, gateway.url, html(attributes));
  const devtools = await context.newCDPSession(page);
  await start(page).waitFor();
  await offerWav(page, 40);
  await devtools.send("Network.emulateNetworkConditions", {
    offline: false, latency: 20, downloadThroughput: 1e6, uploadThroughput: 400_000,
  });
  await button(page, "Send").click();
  await page.waitForFunction(() => {
    const bar = document.querySelector("voice-message").shadowRoot.querySelector("[part=progress]");
    return bar?.value > 5 && bar.value < 95;
  });
  await button(page, "Cancel").click();
  await reach(page, "review");
  await page.waitForTimeout(500);
  assert.deepEqual(await arrived(gateway, id), []);
  assert.equal((await kept(page)).length, 1, "the take is still there");
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("what has gone out whole is not said to be taken back", async () => {
  const { id, attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url, html(attributes));
  await start(page).waitFor();
  await offerWav(page, 2);
  await gateway.faults([{ endpoint: "post", times: 1, do: { latency_ms: 3_000 } }]);
  await button(page, "Send").click();
  await page.getByText("100 %").waitFor();
  assert.equal(await button(page, "Cancel").count(), 0);
  const states = await page.evaluate(async () => {
    const recorder = document.querySelector("voice-message");
    recorder.cancel();
    await recorder.discard();
    return recorder.state;
  });
  assert.equal(states, "sending");
  await reach(page, "sent");
  assert.equal((await arrived(gateway, id)).length, 1);
});

test("typing is offered all along, and one voice sounds at a time", async () => {
  const { attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url,
    html(attributes, (element) => element + element.replace("c-", "d-")));
  const first = page.locator("voice-message").first();
  const typing = first.getByRole("button", { name: "Type instead" });
  await typing.waitFor();
  await start(page).first().click();
  await reach(page, "recording");
  await page.waitForTimeout(1_200);
  await typing.click();
  await reach(page, "paused");
  await first.getByRole("button", { name: "Finish" }).click();
  await reach(page, "review");
  await typing.waitFor();
  await page.evaluate(async () => {
    const [one, other] = document.querySelectorAll("voice-message");
    await other.offer(one.blob);
  });
  await button(page, "Play").first().click();
  await button(page, "Pause playback").waitFor();
  await button(page, "Play").click();
  await button(page, "Play").waitFor();
  assert.equal(await button(page, "Pause playback").count(), 1);
});
