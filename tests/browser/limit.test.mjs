// At the limit: warned before, stopped at it, and what was said is kept and goes out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, button, conversation, html, open, reach, stage, start } from "./browser.mjs";
import { listen } from "./sound.mjs";

const LIMIT_MS = 5_000;
const { gateway, browser } = await stage({ LIMITS__DURATION_MS_MAX: LIMIT_MS });

test("the guest is warned, by eye and ear, and the take is whole", async () => {
  const { id, attributes } = conversation();
  const context = await browser.newContext();
  await context.addInitScript(() => {
    window.tones = 0;
    const make = AudioContext.prototype.createOscillator;
    AudioContext.prototype.createOscillator = function () {
      window.tones += 1;
      return make.call(this);
    };
  });
  const page = await open(context, gateway.url, html(attributes));
  await start(page).getByText("up to 0:05").waitFor();
  await start(page).click();
  await reach(page, "recording");
  assert.equal(await page.evaluate(() => window.tones), 0);
  await page.locator("[part=time]").getByText(/\d s left/).waitFor();
  await page.getByRole("alert").getByText(/\d seconds left/).waitFor();
  assert.equal(await page.evaluate(() => window.tones), 2, "two tones warn");
  await reach(page, "review");
  assert.equal(await page.evaluate(() => window.tones), 5, "three tones end it");
  await page.locator("[part=note]").getByText("That is as long as a message can be.").waitFor();
  await button(page, "Send").click();
  await reach(page, "sent");
  const [post] = await arrived(gateway, id);
  const { ms } = await listen(page, await gateway.clip(post.upload));
  assert.ok(ms > LIMIT_MS - 600 && ms <= LIMIT_MS + 500, `${ms} ms arrived`);
});

for (const type of ["audio/webm;codecs=opus", "audio/mp4;codecs=opus"]) {
  test(`a page that stalls at the limit sends what was said before, as ${type}`, async () => {
    const { id, attributes } = conversation();
    const context = await browser.newContext();
    await context.addInitScript((mimeType) => {
      const { MediaRecorder } = window;
      window.MediaRecorder = class extends MediaRecorder {
        constructor(stream, options) {
          super(stream, { ...options, mimeType });
        }
      };
    }, type);
    const page = await open(context, gateway.url, html(attributes));
    await start(page).click();
    await reach(page, "recording");
    await page.evaluate(async (ms) => {
      await new Promise((resolve) => setTimeout(resolve, ms - 1_200));
      const until = performance.now() + 2_500;
      while (performance.now() < until);
    }, LIMIT_MS);
    await reach(page, "review");
    await button(page, "Send").click();
    await reach(page, "sent");
    const [post] = await arrived(gateway, id);
    const { ms } = await listen(page, await gateway.clip(post.upload));
    assert.ok(ms > 2_500 && ms <= LIMIT_MS + 500, `${ms} ms arrived`);
  });
}
