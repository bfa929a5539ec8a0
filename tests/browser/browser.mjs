// Headless Chromium whose microphone plays a file, and pages with the recorder on the gateway's own
// origin. The pages are made here: the gateway serves none.
import assert from "node:assert/strict";
import { after } from "node:test";
import { chromium } from "playwright-core";
import { startDemo, startGateway } from "./gateway.mjs";

/** Five seconds, of which speech fills the first four. */
export const SPEECH = new URL("../fixtures/audio/hello.wav", import.meta.url).pathname;

const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
  // A page that a test makes has no address, so this machine is a foreign network to it.
  "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
];
const ALLOWED = "--use-fake-ui-for-media-stream";
const DEVICE = "--use-fake-device-for-media-stream";

/**
 * Chromium with a microphone that speaks once, from the moment it is opened. `denied`: nobody allows
 * it; `absent`: there is none.
 */
export function launch({ denied = false, absent = false, args = [] } = {}) {
  const microphone = [
    ...(denied ? [] : [ALLOWED]), ...(absent ? [] : [DEVICE, `--use-file-for-fake-audio-capture=${SPEECH}%noloop`]),
  ];
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true,
    args: [...QUIET, ...microphone, ...args],
  });
}

/** What most files of tests need: a gateway with these settings and a browser, to their end. */
export async function stage(settings) {
  const gateway = await startGateway(settings);
  after(() => gateway.stop());
  const browser = await launch();
  after(() => browser.close());
  return { gateway, browser };
}

/** The demo of a route, its page, and the errors that this has met. */
export async function openDemo(route) {
  const demo = await startDemo(route);
  after(() => demo.stop());
  const browser = await launch();
  after(() => browser.close());
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(`${error}`));
  page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
  await page.goto(demo.url);
  return { page, errors };
}

/** A page's HTML: the two lines that an integrator writes; of an attribute the first one holds. */
export function html(attributes = "", around = (element) => element) {
  const element = `<voice-message ${attributes} type-into=""></voice-message>`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Chat</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" href="data:,"><script src="/voicepost.js" defer></script></head>
    <body><main><h1>Chat</h1>${around(element)}</main></body></html>`;
}

/** Serves a page at `path` of every origin that this context asks. */
export async function serve(context, path, body, headers = {}) {
  await context.route((url) => url.pathname === path, (route) => route.fulfill({
    body, headers: { "content-type": "text/html; charset=utf-8", ...headers },
  }));
}

let conversations = 0;

/** Attributes of a conversation that no other test has. */
export function conversation() {
  conversations += 1;
  const id = `c-${process.pid}-${conversations}`;
  return { id, attributes: `conversation-id="${id}" sender-id="g1"` };
}

/** A page with a recorder. Fails the test where the page reports an error of its own. */
export async function open(context, url, body, headers) {
  await serve(context, "/chat", body, headers);
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.goto(`${url}/chat`);
  return page;
}

export const button = (page, name) => page.getByRole("button", { name, exact: true });
export const START = /^Record a voice message/;
export const start = (page) => page.getByRole("button", { name: START });

export const state = (page) => page.evaluate(() => document.querySelector("voice-message").state);

/** Waits until the recorder is in one of these states. */
export async function reach(page, ...states) {
  const wait = (states) => states.includes(document.querySelector("voice-message").state);
  await page.waitForFunction(wait, states, { timeout: 40_000 }).catch(async () => {
    assert.fail(`the recorder is ${await state(page)}, not ${states.join(" or ")}`);
  });
}

/** Records for so long, and listens to none of it. */
export async function record(page, ms) {
  await start(page).click();
  await reach(page, "recording");
  await page.waitForTimeout(ms);
  await button(page, "Finish").click();
  await reach(page, "review");
}

/** The takes that this page's origin keeps. */
export function kept(page) {
  return page.evaluate(() => new Promise((resolve, reject) => {
    const request = indexedDB.open("voicepost", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("takes", { keyPath: "key" });
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const all = request.result.transaction("takes").objectStore("takes").getAll();
      all.onsuccess = () => resolve(all.result.map(({ key, ms }) => ({ key, ms })));
      request.result.close();
    };
  }));
}

/** What arrived at the sandbox for a conversation: posts, each with its upload. */
export async function arrived(gateway, id) {
  const { posts, uploads } = await gateway.account();
  return posts.filter((post) => post.conversation_id === id).map((post) => ({
    ...post, upload: uploads.find((upload) => upload.media_id === post.media_id),
  }));
}
