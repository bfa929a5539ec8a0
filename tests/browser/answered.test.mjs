// The demo of open-messaging: the agent hears the clip and answers, the guest reads it, and the audio
// goes, copy by copy.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDemo } from "./browser.mjs";

const ANSWER = "I have found your parcel. It comes tomorrow.";

test("an agent hears the clip and answers, the guest reads it, and every copy goes", async () => {
  const { page, errors } = await openDemo("open-messaging");
  assert.equal(await page.locator(".steps li:visible").count(), 4);
  const stage = (name) => page.locator(`#step-${name}`).getAttribute("class");
  await page.getByRole("button", { name: "A lost parcel" }).click();
  await page.locator("#recorder").getByRole("button", { name: "Send" }).click();
  await page.getByText(/^Delivered · audio goes in 0:[0-4]\d$/).waitFor();

  const guest = await page.evaluate(() => document.getElementById("recorder").senderId);
  const mine = page.frameLocator("#desk").locator(".conversation").filter({ hasText: guest });
  await mine.getByText("Hi. My parcel says delivered").waitFor();
  const clip = mine.locator("audio");
  await clip.evaluate((audio) => audio.play());
  await page.waitForFunction(() => document.getElementById("step-heard").className === "done");
  const url = await clip.evaluate((audio) => audio.src);
  assert.match(new URL(url).pathname, /^\/media\//, "it lies on the gateway's media host");
  const heard = await page.evaluate(async (url) => {
    const answer = await fetch(url);
    return [answer.status, answer.headers.get("content-type")];
  }, url);
  assert.deepEqual(heard, [200, "audio/ogg"]);

  assert.equal(await stage("answered"), "now", "nobody has answered yet");
  await mine.getByLabel("Answer to the guest").fill(ANSWER);
  await mine.getByRole("button", { name: "Send" }).click();
  await page.locator("#log .theirs").getByText(ANSWER).waitFor();
  assert.equal(await stage("answered"), "done");
  await mine.locator(".badge.good").getByText("Delivered").waitFor();

  await page.getByText("The audio is gone").first().waitFor({ timeout: 120_000 });
  assert.equal(await page.evaluate(async (url) => (await fetch(url)).status, url), 410);
  await mine.getByText(/ · cached copy deleted at \d\d:/).waitFor();
  await mine.getByText(/^nothing to play at its address/).waitFor();
  const copies = page.locator("#log .copies li");
  assert.deepEqual((await copies.allTextContents()).sort(), [
    "Deleted from the media host",
    "Genesys lists no cached copy any more",
    "Not possible here: deleting Genesys’ recording, if it makes one",
  ]);
  assert.equal(await stage("gone"), "done");
  // The guest's page is still there, and so is the agent.
  await mine.getByLabel("Answer to the guest").fill("Is there anything else?");
  await mine.getByRole("button", { name: "Send" }).click();
  await page.locator("#log .theirs").getByText("Is there anything else?").waitFor();
  assert.deepEqual(errors.filter((error) => !error.includes("410")), []);
});
