// What stands in the way of a recording is said in the guest's words, with a way on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { button, conversation, html, launch, open, reach, serve, stage, start, state } from "./browser.mjs";

const { gateway, browser } = await stage();

/** Presses record, and expects a text instead of a recording. */
async function refused(options, text, url = gateway.url, code) {
  const other = await launch(options);
  try {
    const { attributes } = conversation();
    const context = await other.newContext();
    const body = html(`${attributes} type-into="#text"`,
      (element) => `${element}<label>Text <input id="text"></label>`);
    const page = await open(context, url, body);
    const failed = page.evaluate(() => new Promise((resolve) => {
      document.querySelector("voice-message")
        .addEventListener("failed", ({ detail }) => resolve(detail.code));
    }));
    await start(page).click();
    assert.equal(await failed, code);
    await page.locator("[part=note]").getByText(text).waitFor();
    assert.equal(await state(page), "idle");
    // A screen reader is told at once.
    await page.getByRole("alert").getByText(text).waitFor();
    await button(page, "Type instead").click();
    await page.waitForFunction(() => document.activeElement.id === "text");
  } finally {
    await other.close();
  }
}

test("not allowed", () => refused({ denied: true },
  "The microphone is not allowed for this page.", gateway.url, "denied"));

test("none there", () => refused({ absent: true },
  "No microphone was found.", gateway.url, "noMicrophone"));

test("in use by another program", async () => {
  const context = await browser.newContext();
  await context.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotReadableError"));
  });
  const page = await open(context, gateway.url, html(conversation().attributes));
  await start(page).click();
  await page.locator("[part=note]").getByText("Another app is using the microphone.").waitFor();
});

test("a microphone that is pulled out leaves what was said so far", async () => {
  const context = await browser.newContext();
  await context.addInitScript(() => {
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await ask(wanted));
  });
  const page = await open(context, gateway.url, html(conversation().attributes));
  await start(page).click();
  await reach(page, "recording");
  await page.waitForTimeout(1_500);
  await page.evaluate(() => {
    const [track] = window.stream.getAudioTracks();
    track.stop();
    track.dispatchEvent(new Event("ended"));
  });
  await reach(page, "review");
  await page.locator("[part=note]").getByText("The microphone went away.").waitFor();
});

test("a page that is not secure", () => refused({
  args: ["--host-resolver-rules=MAP voice.test 127.0.0.1"],
}, "Recording needs a secure page", gateway.url.replace("127.0.0.1", "voice.test"), "insecure"));

test("a microphone that is muted is told while it records, and after", async () => {
  const { attributes } = conversation();
  const context = await browser.newContext();
  // A stream without sound, as a muted microphone gives it.
  await context.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      const audio = new AudioContext();
      const source = new ConstantSourceNode(audio, { offset: 0 });
      const end = audio.createMediaStreamDestination();
      source.connect(end);
      source.start();
      return end.stream;
    };
  });
  const page = await open(context, gateway.url, html(attributes));
  await start(page).click();
  await reach(page, "recording");
  await page.locator("[part=note]").getByText("We cannot hear you.").waitFor({ timeout: 6_000 });
  await button(page, "Finish").click();
  await reach(page, "review");
  await page.locator("[part=note]").getByText("Nothing can be heard in this recording.").waitFor();
});

test("a recording goes on where no AudioContext starts", async () => {
  const { attributes } = conversation();
  const context = await browser.newContext();
  await context.addInitScript(() => {
    window.AudioContext = class {
      state = "suspended";
      resume = () => new Promise(() => {});
      close = () => new Promise(() => {});
      createAnalyser = () => ({});
      createMediaStreamSource = () => ({ connect() {} });
    };
  });
  const page = await open(context, gateway.url, html(attributes));
  await start(page).click();
  await reach(page, "recording");
  await page.waitForTimeout(1_500);
  await button(page, "Finish").click();
  await reach(page, "review");
  await button(page, "Send").click();
  await reach(page, "sent");
});

test("too short is told, and nothing is kept", async () => {
  const { attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url, html(attributes));
  await start(page).waitFor();
  await page.evaluate(async () => {
    const recorder = document.querySelector("voice-message");
    await recorder.record();
    await recorder.stop();
  });
  await reach(page, "idle");
  await page.locator("[part=note]").getByText("That was too short.").waitFor();
});

test("in a frame the microphone needs the page's leave", async () => {
  // Another origin than the gateway's, on the same machine.
  const outside = gateway.url.replace("127.0.0.1", "localhost");
  for (const allowed of [true, false]) {
    const { attributes } = conversation();
    const context = await browser.newContext();
    await serve(context, "/frame", html(attributes));
    const frame = `<iframe src="${gateway.url}/frame" ${allowed ? 'allow="microphone"' : ""}></iframe>`;
    await serve(context, "/outside", `<!doctype html><title>Shop</title>${frame}`);
    const page = await context.newPage();
    await page.goto(`${outside}/outside`);
    const inside = page.frameLocator("iframe");
    await inside.getByRole("button", { name: /^Record a voice message/ }).click();
    if (allowed) {
      await page.waitForTimeout(1_500);
      await inside.getByRole("button", { name: "Finish" }).click();
      await inside.getByRole("button", { name: "Send" }).click();
      await inside.getByText("Sent", { exact: true }).first().waitFor();
    } else {
      await inside.locator("[part=note]").getByText("The microphone is not allowed").waitFor();
    }
    await context.close();
  }
});
