// <voice-message src>: others' messages are played, and read where they cannot be.
import assert from "node:assert/strict";
import { test } from "node:test";
import { conversation, html, open, reach, stage, start } from "./browser.mjs";
import { SPOKEN, STATES } from "./states.mjs";

const { gateway, browser } = await stage();

test("a message is played, sought, and drawn", async () => {
  const page = await STATES.playing(await browser.newContext(), gateway.url);
  const path = await page.locator(".wave path").first().getAttribute("d");
  assert.equal(path.split("M").length - 1, 64, "a bar for each peak");
  await page.getByRole("button", { name: "Play" }).click();
  await page.getByRole("slider").fill("800");
  await page.waitForFunction(() => document.querySelector("voice-message").shadowRoot
    .querySelector("[part=time]").textContent === "0:04");
  await page.getByRole("button", { name: "Play", exact: true }).waitFor({ timeout: 8_000 });
});

test("the transcript is folded, and opens by itself where there is no audio", async () => {
  const folded = await STATES.playing(await browser.newContext(), gateway.url);
  assert.equal(await folded.getByText(SPOKEN).isVisible(), false);
  await folded.getByText("Text of the message").click();
  await folded.getByText(SPOKEN).waitFor();
  for (const name of ["no-audio", "gone"]) {
    const page = await STATES[name](await browser.newContext(), gateway.url);
    await page.getByText(SPOKEN).waitFor();
  }
});

test("an element that was a player becomes a recorder, and back", async () => {
  const page = await STATES.gone(await browser.newContext(), gateway.url);
  const states = await page.evaluate(() => {
    const element = document.querySelector("voice-message");
    const states = [element.state];
    element.removeAttribute("transcript");
    states.push(element.state);
    element.setAttribute("src", "/clip.ogg");
    states.push(element.state);
    return states;
  });
  assert.deepEqual(states, ["playback", "idle", "playback"]);
});

test("a clip that cannot be listened to before it is sent says so", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  await start(page).waitFor();
  await page.evaluate(() => document.querySelector("voice-message")
    .offer(new Blob(["no sound"], { type: "audio/ogg" })));
  await reach(page, "review");
  await page.locator(".player").getByText("The audio cannot be played here.").waitFor();
  await page.getByRole("status").getByText("The audio cannot be played here.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Play" }).count(), 0);
});
