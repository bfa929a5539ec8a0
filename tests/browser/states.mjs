// Every state that a guest can see, each reached the way a guest reaches it. The axe test looks at
// them, and the screenshots are made of them.
import { readFile } from "node:fs/promises";
import {
  button, conversation, html, open, reach, serve, start,
} from "./browser.mjs";

const SPOKEN = "Hello. My flight lands later than planned. Could you hold my room, please?";
const PEAKS = Array.from({ length: 64 }, (_, at) => Math.round(
  90 + 80 * Math.sin(at / 3) * Math.sin(at / 1.3) + 60 * Math.sin(at / 7),
)).map((peak) => Math.max(2, Math.min(255, peak))).join(",");

const hello = await readFile(new URL("../fixtures/audio/hello.ogg", import.meta.url));

/** Others' messages: `clip` is where the audio lies. */
const playback = (attributes) => `<!doctype html><html lang="en"><head><meta charset="utf-8">
  <title>Chat</title><meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="icon" href="data:,"><script src="/voicepost.js" defer></script></head>
  <body><main><h1>Chat</h1><voice-message ${attributes}></voice-message></main></body></html>`;

/** A clip that is offered stands where a recorded one does, and takes no time. */
export async function offerClip(page) {
  await page.evaluate(async (bytes) => {
    const blob = await (await fetch(`data:audio/ogg;base64,${bytes}`)).blob();
    await document.querySelector("voice-message").offer(blob);
  }, hello.toString("base64"));
  await reach(page, "review");
}

/** A large clip: so many seconds of a tone as 16-bit WAV, 32 kB each. */
export async function offerWav(page, seconds) {
  await page.evaluate(async (seconds) => {
    const rate = 16_000;
    const bytes = new DataView(new ArrayBuffer(44 + seconds * rate * 2));
    const text = (at, word) => [...word].forEach((letter, n) => bytes.setUint8(at + n, letter.charCodeAt(0)));
    text(0, "RIFF");
    bytes.setUint32(4, bytes.byteLength - 8, true);
    text(8, "WAVEfmt ");
    [[16, 16], [24, rate], [28, rate * 2], [40, seconds * rate * 2]]
      .forEach(([at, value]) => bytes.setUint32(at, value, true));
    [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, value]) => bytes.setUint16(at, value, true));
    text(36, "data");
    for (let at = 0; at < seconds * rate; at += 1) {
      bytes.setInt16(44 + at * 2, 8_000 * Math.sin(at / 9), true);
    }
    await document.querySelector("voice-message").offer(new Blob([bytes], { type: "audio/wav" }));
  }, seconds);
  await reach(page, "review");
}

/** A page that refuses the answer to uploads, or keeps it waiting. */
async function answerUploads(context, answer) {
  await context.route("**/v1/voice-messages", answer);
}

const delivering = JSON.stringify({ id: "m1", status: "accepted", purge: { state: "scheduled" } });

/** `{name: async (context, url) => page}`, for contexts of a browser with a microphone. */
export const STATES = {
  idle: (context, url) => open(context, url, html(conversation().attributes)),
  async asking(context, url) {
    await context.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = () => new Promise(() => {});
    });
    const page = await open(context, url, html(conversation().attributes));
    await start(page).click();
    await reach(page, "asking");
    return page;
  },
  async recording(context, url) {
    const page = await open(context, url, html(conversation().attributes));
    await start(page).click();
    await reach(page, "recording");
    await page.waitForTimeout(2_600);
    return page;
  },
  async paused(context, url) {
    const page = await STATES.recording(context, url);
    await button(page, "Pause").click();
    await reach(page, "paused");
    return page;
  },
  async warning(context, url) {
    await limits(context, { duration_ms_max: 9_000 });
    const page = await open(context, url, html(conversation().attributes));
    await start(page).click();
    await page.getByText(/\d s left/).first().waitFor();
    await page.waitForTimeout(300);
    return page;
  },
  async limit(context, url) {
    await limits(context, { duration_ms_max: 2_500 });
    const page = await open(context, url, html(conversation().attributes));
    await start(page).click();
    await reach(page, "review");
    return page;
  },
  async review(context, url) {
    const page = await open(context, url, html(conversation().attributes));
    await start(page).waitFor();
    await offerClip(page);
    return page;
  },
  async caption(context, url) {
    const page = await STATES.review(context, url);
    await page.getByText("Add the message as text").click();
    await page.getByRole("textbox").fill(SPOKEN);
    return page;
  },
  async offered(context, url) {
    const page = await STATES.review(context, url);
    await page.reload();
    await reach(page, "review");
    return page;
  },
  async sending(context, url) {
    await answerUploads(context, () => {});
    const page = await STATES.review(context, url);
    await button(page, "Send").click();
    await reach(page, "sending");
    await page.waitForTimeout(200);
    return page;
  },
  async delivering(context, url) {
    await answerUploads(context, (route) => route.fulfill({
      status: 202, contentType: "application/json", body: delivering,
    }));
    await context.route("**/v1/voice-messages/m1**", () => {});
    const page = await STATES.review(context, url);
    await button(page, "Send").click();
    await reach(page, "delivering");
    return page;
  },
  async unclear(context, url) {
    await answerUploads(context, (route) => route.fulfill({
      status: 202, contentType: "application/json", body: delivering,
    }));
    await context.route("**/v1/voice-messages/m1**", (route) => route.fulfill({ status: 404, body: "" }));
    const page = await STATES.review(context, url);
    await button(page, "Send").click();
    await page.getByText("It has arrived.").first().waitFor();
    return page;
  },
  async sent(context, url) {
    const page = await STATES.review(context, url);
    await button(page, "Send").click();
    await reach(page, "sent");
    return page;
  },
  async failed(context, url) {
    const page = await STATES.review(context, url);
    await context.setOffline(true);
    await button(page, "Send").click();
    await reach(page, "failed");
    return page;
  },
  async denied(context, url) {
    await context.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
    });
    const page = await open(context, url, html(conversation().attributes));
    await start(page).click();
    await page.locator("[part=note]").waitFor();
    return page;
  },
  async playing(context, url) {
    const attributes = `src="/clip.ogg" waveform="${PEAKS}" transcript="${SPOKEN}" duration-ms="5000"`;
    return played(context, url, attributes);
  },
  async transcript(context, url) {
    const page = await STATES.playing(context, url);
    await page.getByText("Text of the message").click();
    return page;
  },
  "no-audio": (context, url) => played(context, url, `src="/nothing.ogg" transcript="${SPOKEN}"`,
    (page) => page.getByText("The audio cannot be played here.").waitFor()),
  gone: (context, url) => played(context, url, `transcript="${SPOKEN}"`),
};

async function limits(context, changed) {
  await context.route("**/v1/limits", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), ...changed } });
  });
}

async function played(context, url, attributes, ready = (page) => page.locator(".panel").waitFor()) {
  await context.route("**/clip.ogg", (route) => route.fulfill({ body: hello, contentType: "audio/ogg" }));
  await context.route("**/nothing.ogg", (route) => route.fulfill({ status: 404, body: "" }));
  await serve(context, "/chat", playback(attributes));
  const page = await context.newPage();
  await page.goto(`${url}/chat`);
  await ready(page);
  return page;
}

export { SPOKEN };
