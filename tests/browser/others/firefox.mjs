// Firefox, with the default source of the sound server as its microphone.
import puppeteer from "puppeteer-core";
import { startDemo } from "../gateway.mjs";
import { check, visit } from "./visit.mjs";

const demo = await startDemo();
const browser = await puppeteer.launch({
  browser: "firefox", executablePath: process.env.FIREFOX, headless: true, protocolTimeout: 120_000,
  extraPrefsFirefox: {
    "media.navigator.permission.disabled": true,
    "media.navigator.streams.fake": false,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
  },
});
try {
  const page = await browser.newPage();
  await page.goto(demo.url);
  check(await page.evaluate(visit), /^audio\/ogg/);
} finally {
  await browser.close();
  await demo.stop();
}
