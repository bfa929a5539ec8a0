// The texts: six languages, the page's own ones, right to left.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { conversation, html, open, reach, stage } from "./browser.mjs";
import { STATES, offerClip } from "./states.mjs";
import { textsFor } from "../../web/src/texts.js";

const { gateway, browser } = await stage();

describe("a recorder in", { concurrency: 4 }, () => {
  for (const lang of ["de", "es-MX", "fr", "pt-BR", "ja", "en", "sv"]) {
    test(lang, async () => {
      const text = textsFor(lang);
      const { attributes } = conversation();
      const page = await open(await browser.newContext(), gateway.url, html(`${attributes} lang="${lang}"`));
      await page.getByRole("button", { name: new RegExp(`^${text("record")}`) }).waitFor();
      await offerClip(page);
      await page.getByRole("button", { name: text("send"), exact: true }).waitFor();
      if (lang === "sv") assert.equal(text("send"), "Send", "English where there is no table");
      else if (lang !== "en") assert.notEqual(text("record"), textsFor("en")("record"));
    });
  }
});

test("the language changes with the page, texts with the integrator", async () => {
  const { attributes } = conversation();
  const page = await open(await browser.newContext(), gateway.url, html(attributes));
  await page.getByRole("button", { name: /^Record a voice message/ }).waitFor();
  await page.evaluate(() => document.querySelector("voice-message").setAttribute("lang", "de"));
  await page.getByRole("button", { name: /^Sprachnachricht aufnehmen/ }).waitFor();
  await page.evaluate(() => {
    document.querySelector("voice-message").texts = { record: "Sag es uns", upTo: "{time} lang" };
  });
  await page.getByRole("button", { name: "Sag es uns 1:00 lang" }).waitFor();
});

test("a take in review changes its language whole, and the focus stays where it was", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  await offerClip(page);
  const focused = () => page.evaluate(() => document.activeElement.shadowRoot?.activeElement
    ?.getAttribute("aria-label"));
  await page.getByRole("button", { name: "Play", exact: true }).focus();
  await page.evaluate(() => document.querySelector("voice-message").setAttribute("lang", "de"));
  assert.equal(await focused(), "Abspielen");
  await page.getByRole("slider", { name: "Position" }).focus();
  await page.evaluate(() => (document.querySelector("voice-message").texts = { position: "Stelle" }));
  assert.equal(await focused(), "Stelle");
  await page.getByRole("button", { name: "Tempo 1×" }).waitFor();
});

test("on the narrowest page the warning stays within the panel in each language", async () => {
  const page = await STATES.warning(await browser.newContext(), gateway.url);
  await page.setViewportSize({ width: 240, height: 400 });
  const over = await page.evaluate(() => {
    const element = document.querySelector("voice-message");
    return ["en", "de", "es", "fr", "pt", "ja"].filter((lang) => {
      element.setAttribute("lang", lang);
      const right = (part) => part.getBoundingClientRect().right;
      const panel = right(element.shadowRoot.querySelector(".panel"));
      return [...element.shadowRoot.querySelectorAll(".warns *")].some((part) => right(part) > panel);
    });
  });
  assert.deepEqual(over, []);
});

test("right to left the row turns, the sound does not", async () => {
  const context = await browser.newContext();
  const page = await open(context, gateway.url, html(`${conversation().attributes} dir="rtl"`));
  await page.getByRole("button", { name: /^Record a voice message/ }).click();
  await reach(page, "recording");
  await page.waitForTimeout(1_100);
  await page.getByRole("button", { name: "Finish" }).click();
  await reach(page, "review");
  const places = await page.evaluate(() => {
    const root = document.querySelector("voice-message").shadowRoot;
    const left = (part) => root.querySelector(`[part=${part}]`).getBoundingClientRect().left;
    return { play: left("play"), wave: left("waveform"), send: left("send"), delete: left("delete"),
      time: getComputedStyle(root.querySelector("[part=waveform]")).direction };
  });
  assert.ok(places.play > places.wave, "play stands at the right of the waveform");
  assert.ok(places.delete > places.send, "send stands at the left");
  assert.equal(places.time, "ltr");
});

test("texts say what language they are in where the page has another", async () => {
  const page = await open(await browser.newContext(), gateway.url,
    html(conversation().attributes).replace('lang="en"', 'lang="ar" dir="rtl"'));
  const panel = page.locator("[part=panel]");
  await page.getByRole("button", { name: /^Record a voice message/ }).waitFor();
  assert.equal(await panel.getAttribute("lang"), "en");
  assert.equal(await panel.getAttribute("dir"), "ltr");
  await page.evaluate(() => (document.querySelector("voice-message").texts = { record: "سجّل" }));
  assert.equal(await panel.getAttribute("lang"), "ar");
  // Own texts run as the page does, and what points to where they go turns with them.
  assert.equal(await panel.getAttribute("dir"), "rtl");
  await offerClip(page);
  const turned = await page.locator(".icon.send").evaluate((icon) => getComputedStyle(icon).transform);
  assert.equal(turned, "matrix(-1, 0, 0, 1, 0, 0)");
});

test("a page whose language is written in another way sends all the same", async () => {
  for (const [written, tag] of [["de_DE", "de-DE"], ["{{lang}}", "en"], ["EN-us", "en-US"]]) {
    const context = await browser.newContext({ locale: "en-US" });
    const { attributes } = conversation();
    const page = await open(context, gateway.url, html(`${attributes} lang="${written}"`));
    const label = textsFor(tag)("record");
    await page.getByRole("button", { name: new RegExp(`^${label}`) }).waitFor();
    await offerClip(page);
    const [request] = await Promise.all([
      page.waitForRequest("**/v1/voice-messages"),
      page.evaluate(() => document.querySelector("voice-message").send()),
    ]);
    await reach(page, "sent");
    assert.match(request.postDataBuffer().toString("latin1"), new RegExp(`"language"\\s+${tag}\\s`));
    await context.close();
  }
});

test("every language fits on a phone at 200 %", async () => {
  for (const lang of ["en", "de", "es", "fr", "pt", "ja"]) {
    for (const name of ["idle", "review", "denied"]) {
      const context = await browser.newContext({ viewport: { width: 195, height: 400 } });
      const page = await STATES[name](context, gateway.url);
      await page.evaluate((lang) => document.querySelector("voice-message").setAttribute("lang", lang), lang);
      const wide = await page.evaluate(() => {
        const panel = document.querySelector("voice-message").shadowRoot.querySelector(".panel");
        return Math.max(...[panel, ...panel.querySelectorAll("*")].map((one) => {
          return one.getBoundingClientRect().right - panel.getBoundingClientRect().right;
        }), panel.scrollWidth - panel.clientWidth);
      });
      assert.ok(wide <= 0, `${name} in ${lang}: ${wide} pixels too wide`);
      await context.close();
    }
  }
});

test("a page that has words of its own for the time left has them everywhere", () => {
  const text = textsFor("en", { left: "Nog {seconds} seconden" });
  assert.equal(text("leftShort", { seconds: 3 }), "Nog 3 seconden");
  assert.equal(textsFor("de")("leftShort", { seconds: 3 }), "Noch 3 s");
});
