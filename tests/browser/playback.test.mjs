// What Chromium, Firefox and WebKit recorded plays at the agent's desk: each recording of the labelled
// clips goes through the gateway to the sandbox, and from there into a real browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const ROOT = new URL("../../", import.meta.url).pathname;
const PROGRAM = process.env.VOICEPOST ?? join(ROOT, "target/debug/voicepost");
const CLIPS = join(ROOT, "tests/fixtures/audio");
const START_MS_MAX = 30_000;

/** What a page hears of a clip may differ so much from what the receipt says. */
const LENGTH_MS_OFF_MAX = 20;

// Every way each browser records: whole and in slices, quiet and loud, paused, at both bit rates.
const RECORDINGS = [
  ["chromium-default.webm", "audio/webm;codecs=opus"],
  ["chromium-24k-mono.webm", "audio/webm;codecs=opus"],
  ["chromium-timeslice.webm", "audio/webm;codecs=opus"],
  ["chromium-paused.webm", "audio/webm;codecs=opus"],
  ["chromium-opus.mkv", "audio/webm;codecs=opus"],
  ["chromium-opus.mp4", "audio/mp4;codecs=opus"],
  ["chromium-timeslice.mp4", "audio/mp4;codecs=opus"],
  ["firefox-default.ogg", null],
  ["firefox-timeslice.ogg", null],
  ["firefox-opus.webm", "audio/webm;codecs=opus"],
  ["firefox-timeslice.webm", "audio/webm;codecs=opus"],
  ["webkit-default.mp4", "audio/mp4;codecs=mp4a.40.2"],
  ["webkit-aac-24k.mp4", "audio/mp4;codecs=mp4a.40.2"],
  ["webkit-aac-timeslice.mp4", "audio/mp4;codecs=mp4a.40.2"],
  ["webkit-opus.mp4", "audio/mp4;codecs=opus"],
  ["webkit-opus-timeslice.mp4", "audio/mp4;codecs=opus"],
];

/** Starts the program and waits for the line of which `find` makes something. */
async function start(args, environment, cwd, find) {
  const child = spawn(PROGRAM, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  let said = "";
  const found = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${args[0]} ${why}:\n${said}`));
    const late = setTimeout(() => fail("did not start"), START_MS_MAX);
    const read = (piece) => {
      said += piece;
      const value = said.split("\n").map(find).find(Boolean);
      if (!value) return;
      clearTimeout(late);
      resolve(value);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", reject);
    child.on("exit", (code) => fail(`ended with ${code}`));
  });
  return { found, stop: () => (child.kill("SIGTERM"), ended) };
}

function started(line) {
  try {
    const event = JSON.parse(line);
    return event.message === "gateway started" && `http://${event.public_addr}`;
  } catch {
    return undefined;
  }
}

/** A gateway before a sandbox, with the conversion that is wished for. */
async function startGateway(folder, sandbox, convert) {
  const data = join(folder, convert);
  await mkdir(data);
  const settings = {
    SERVER__LISTEN: "127.0.0.1:0", ADMIN__LISTEN: "127.0.0.1:0", GENESYS__ROUTE: "media-api",
    GENESYS__LOGIN_URL: sandbox, GENESYS__API_URL: sandbox, LOG__FORMAT: "json",
    LEDGER__URL: `sqlite:${join(data, "voicepost.db")}`, SPOOL__DIR: join(data, "spool"),
    AUDIO__CONVERT: convert,
  };
  const environment = {
    ...process.env, GENESYS_CLIENT_ID: "sandbox-client", GENESYS_CLIENT_SECRET: "sandbox-secret",
  };
  for (const [name, value] of Object.entries(settings)) environment[`VOICEPOST__${name}`] = value;
  return start(["serve"], environment, data, started);
}

let folder;
let sandbox;
let browser;
let page;
const gateways = {};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "voicepost-playback-"));
  sandbox = await start(["sandbox", "--listen", "127.0.0.1:0"], process.env, folder,
    (line) => /^sandbox on (http:\S+):/.exec(line)?.[1]);
  for (const convert of ["ogg-opus", "wav"]) {
    gateways[convert] = await startGateway(folder, sandbox.found, convert);
  }
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
      "--disable-background-networking", "--disable-component-update",
      "--autoplay-policy=no-user-gesture-required",
    ],
  });
  page = await browser.newPage();
  // A page of the sandbox's own origin, as the agent's desk is.
  await page.goto(sandbox.found);
});

after(async () => {
  await browser?.close();
  for (const gateway of Object.values(gateways)) await gateway.stop();
  await sandbox?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** Sends a clip; its receipt, and the upload that came of it at the sandbox. */
async function deliver(gateway, file) {
  const form = new FormData();
  form.append("conversation_id", crypto.randomUUID());
  form.append("sender_id", "guest");
  form.append("transcript", "What was said.");
  form.append("file", new Blob([await readFile(join(CLIPS, file))]), file.split("/").at(-1));
  const answer = await fetch(`${gateway.found}/v1/voice-messages`, { method: "POST", body: form });
  const receipt = await answer.json();
  // 202 where the machine is busy: it is on its way.
  assert.ok([201, 202].includes(answer.status), JSON.stringify(receipt));
  let upload;
  for (const until = Date.now() + START_MS_MAX; !upload && Date.now() < until;) {
    const { uploads } = await (await fetch(`${sandbox.found}/sandbox/account`)).json();
    upload = uploads.find(({ sha256 }) => sha256 === receipt.media.sha256);
    if (!upload) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(upload, "it is at the sandbox");
  return { receipt, upload };
}

/**
 * Plays the clip at this address to its end, four times as fast, then decodes it: its length both
 * times, where it ended, how often the time moved, and how loud it is.
 */
const play = (url) => page.evaluate(async (url) => {
  const audio = new Audio(url);
  audio.playbackRate = 4;
  const seen = await new Promise((resolve, reject) => {
    const moved = new Set();
    setInterval(() => moved.add(audio.currentTime), 50);
    audio.addEventListener("error", () => reject(new Error(`error ${audio.error.code}: ${audio.error.message}`)));
    audio.addEventListener("ended", () => resolve({ moved: moved.size }));
    setTimeout(() => reject(new Error(`stuck at ${audio.currentTime} s`)), 30_000);
    audio.play().catch(reject);
  });
  const bytes = await (await fetch(url)).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(bytes);
  const samples = sound.getChannelData(0);
  return {
    ...seen, ended_ms: audio.currentTime * 1000, duration_ms: audio.duration * 1000,
    decoded_ms: sound.duration * 1000,
    loudest: samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0),
  };
}, url);

/** What a decoder drops at the start of an Ogg Opus clip. Chromium's media element counts it in. */
async function preSkipMs(url) {
  const clip = Buffer.from(await (await fetch(url)).arrayBuffer());
  const head = clip.indexOf("OpusHead");
  assert.ok(head > 0);
  return clip.readUInt16LE(head + 10) / 48;
}

async function check(gateway, file, from, type) {
  const { receipt, upload } = await deliver(gateway, file);
  const { media } = receipt;
  assert.equal(upload.media_type, type);
  assert.equal(media.converted_from ?? null, from);
  const heard = await play(upload.media_url);
  const skipped_ms = type === "audio/ogg" ? await preSkipMs(upload.media_url) : 0;
  for (const [measured, counted_ms] of [["duration_ms", skipped_ms], ["ended_ms", skipped_ms], ["decoded_ms", 0]]) {
    const off_ms = Math.abs(heard[measured] - counted_ms - media.duration_ms);
    assert.ok(off_ms <= LENGTH_MS_OFF_MAX, `${measured}: ${heard[measured]}, not ${media.duration_ms}`);
  }
  assert.ok(heard.moved > 3, `the time moves while it plays: ${heard.moved}`);
  assert.ok(heard.loudest > 0.05, `something is heard: ${heard.loudest}`);
}

for (const [file, from] of RECORDINGS) {
  test(`${file} plays`, () => check(gateways["ogg-opus"], `recorded/${file}`, from, "audio/ogg"));
}

for (const [file, from] of RECORDINGS.filter(([, from]) => from?.includes("mp4a"))) {
  test(`${file} plays as WAV`, () => check(gateways.wav, `recorded/${file}`, from, "audio/wav"));
}

// Without it a page that plays anything at all would do.
test("what is cut short is not taken for the whole", async () => {
  const { receipt, upload } = await deliver(gateways["ogg-opus"], "recorded/firefox-opus.webm");
  const whole = Buffer.from(await (await fetch(upload.media_url)).arrayBuffer());
  const half = `${sandbox.found}/half.ogg`;
  const body = whole.subarray(0, whole.length / 2);
  await page.route(half, (route) => route.fulfill({ contentType: "audio/ogg", body }));
  const { decoded_ms } = await play(half);
  assert.ok(receipt.media.duration_ms - decoded_ms > LENGTH_MS_OFF_MAX, `${decoded_ms}`);
});
