// The demo's page: a clip goes from the guest to the agent's desk, is heard there, and goes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDemo, start } from "./browser.mjs";

/** Waits until the guest's recorder, not one of the messages, is in this state. */
const reach = (page, state) => page.waitForFunction(
  (state) => document.getElementById("recorder").state === state, state,
);

test("a visitor sees the whole way", async () => {
  const { page, errors } = await openDemo();
  await start(page).first().click();
  await reach(page, "recording");
  await page.waitForTimeout(2_000);
  assert.ok(await page.getByRole("button", { name: "A lost parcel" }).isDisabled());
  await page.getByRole("button", { name: "Finish" }).click();
  await page.locator("#recorder").getByRole("button", { name: "Send" }).click();
  await page.getByText(/^Delivered · audio goes in 0:[0-3]\d$/).waitFor();
  const id = await page.evaluate(() => sessionStorage.getItem("conversation"));
  const desk = page.frameLocator("#desk");
  const mine = desk.locator(".conversation").filter({ hasText: id });
  await mine.getByText(/^to be deleted in 0:[0-3]\d$/).waitFor();
  const played = mine.locator("audio").first();
  assert.equal(await page.locator("#step-heard").getAttribute("class"), "now", "not heard yet");
  await played.evaluate((audio) => audio.play());
  await page.waitForTimeout(700);
  assert.ok(await played.evaluate((audio) => audio.currentTime) > 0.2, "the agent hears it");
  assert.equal(await page.locator("#step-heard").getAttribute("class"), "done");

  // Taken now: on a busy machine the first clip is gone before the second is there.
  const url = await played.evaluate((audio) => audio.src);
  assert.equal(await page.evaluate(async (url) => (await fetch(url)).status, url), 200);

  // Without a microphone: a sample, which is converted on its way.
  await page.getByRole("button", { name: "A lost parcel" }).click();
  await reach(page, "review");
  await page.locator("#recorder").getByRole("button", { name: "Send" }).click();
  await mine.getByText("Hi. My parcel says delivered").waitFor();
  await page.getByRole("button", { name: "A muted microphone" }).click();
  await page.locator("#recorder [part=note]").getByText("Nothing can be heard").waitFor();
  await page.locator("#recorder").getByRole("button", { name: "Delete" }).click();

  await page.getByText("Deleted at Genesys, proven by its answer").first()
    .waitFor({ timeout: 90_000 });
  await mine.getByText(/^deleted at /).first().waitFor();
  assert.equal(await page.evaluate(async (url) => (await fetch(url)).status, url), 410);
  // The message before last is told of as well.
  await page.getByText("Deleted at Genesys, proven by its answer").nth(1)
    .waitFor({ timeout: 60_000 });
  assert.deepEqual(errors.filter((error) => !error.includes("410")), []);
});

test("the page fits on a small phone", async () => {
  const { page } = await openDemo("open-messaging");
  for (const width of [320, 340, 360]) {
    await page.setViewportSize({ width, height: 640 });
    await page.getByRole("button", { name: "A lost parcel" }).click();
    await reach(page, "review");
    const wide = await page.evaluate(() => {
      const inside = document.getElementById("recorder").shadowRoot.querySelectorAll("button");
      const edges = [...inside, ...document.querySelectorAll("button, input")]
        .map((one) => one.getBoundingClientRect().right);
      return Math.max(...edges, document.documentElement.scrollWidth) - innerWidth;
    });
    assert.ok(wide <= 0, `${wide} pixels too wide at ${width}`);
    await page.locator("#recorder").getByRole("button", { name: "Delete" }).click();
  }
});
