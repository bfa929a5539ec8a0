// WCAG: axe on every state, light and dark; keyboard alone; what is spoken; reduced motion; 200 %.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { conversation, html, open, reach, stage, start } from "./browser.mjs";
import { startDemo, startGateway } from "./gateway.mjs";
import { STATES } from "./states.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const { gateway, browser } = await stage();

const ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** What changes with the colour scheme. */
const COLOURS = { type: "rule", values: ["color-contrast"] };

/** What axe finds wrong, a line each. */
async function faults(frame, runOnly = ALL) {
  if (!await frame.evaluate(() => "axe" in window)) await frame.evaluate(axe);
  const found = await frame.evaluate((runOnly) => window.axe.run(document, { runOnly }), runOnly);
  assert.ok(found.passes.length > (runOnly === ALL ? 5 : 0), `axe saw ${found.passes.length} things`);
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => {
    return `${id}: ${node.target.flat().join(" ")}: ${node.failureSummary.split("\n")[1]}`;
  }));
}

// Most of it is waiting, so several at a time.
describe("axe finds nothing in", { concurrency: 4 }, () => {
  for (const [name, make] of Object.entries(STATES)) {
    test(name, async () => {
      const context = await browser.newContext({ colorScheme: "light" });
      const page = await make(context, gateway.url);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        // The page has no colours of its own: the element is what is looked at.
        await page.evaluate((scheme) => {
          document.documentElement.style.colorScheme = scheme;
        }, colorScheme);
        const rules = colorScheme === "light" ? ALL : COLOURS;
        assert.deepEqual(await faults(page, rules), [], colorScheme);
      }
      // A phone at 200 %.
      await page.setViewportSize({ width: 195, height: 400 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} pixels too wide`);
      await context.close();
    });
  }
});

test("axe finds what is wrong", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  await page.evaluate(() => document.querySelector("voice-message").shadowRoot
    .querySelector("button").replaceChildren());
  assert.match((await faults(page)).join("\n"), /button-name/);
});

test("axe finds nothing in the demo and in the agent's desk", async () => {
  const demo = await startDemo();
  try {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ colorScheme });
      const page = await context.newPage();
      await page.goto(demo.url);
      const desk = page.frames().find((frame) => frame.url().endsWith("/sandbox/"));
      await desk.locator(".message").first().waitFor();
      // The page's policy forbids inline scripts, not what the test itself evaluates.
      assert.deepEqual(await faults(page), [], colorScheme);
      await context.close();
    }
  } finally {
    await demo.stop();
  }
});

test("all of it goes by keyboard, and the focus stays with the guest", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  const focused = () => page.evaluate(() => {
    const inside = document.activeElement.shadowRoot?.activeElement;
    return inside?.getAttribute("aria-label") ?? inside?.textContent.trim();
  });
  await start(page).waitFor();
  await page.keyboard.press("Tab");
  assert.match(await focused(), /^Record a voice message/);
  await page.keyboard.press("Enter");
  await reach(page, "recording");
  assert.equal(await focused(), "Finish", "the focus is on what comes next");
  await page.waitForTimeout(1_200);
  await page.keyboard.press("Shift+Tab");
  assert.equal(await focused(), "Pause");
  await page.keyboard.press("Space");
  await reach(page, "paused");
  assert.equal(await focused(), "Go on recording");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await reach(page, "review");
  assert.equal(await focused(), "Send");
  // Backwards from Send: delete, the text, the speed, the position, play.
  const order = [];
  for (let turn = 0; turn < 5; turn += 1) {
    await page.keyboard.press("Shift+Tab");
    order.push(await focused());
  }
  assert.deepEqual(order, [
    "Delete", "Add the message as text", "Speed 1×", "Position", "Play",
  ]);
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowRight");
  const value = await page.getByRole("slider").getAttribute("aria-valuetext");
  assert.match(value, /^0:0\d of 0:0\d$/);
  for (let turn = 0; turn < 4; turn += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await reach(page, "sent");
  assert.equal(await focused(), "Record another");
});

test("each step is spoken", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  await start(page).click();
  await page.getByRole("status").getByText("Recording", { exact: true }).waitFor();
  await page.waitForTimeout(1_300);
  await page.getByRole("button", { name: "Finish" }).click();
  await page.getByRole("status").getByText(/^Recorded, \d s\. Listen, send or delete it\.$/).waitFor();
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("status").getByText("Sent", { exact: true }).waitFor();
});

test("nothing moves for who wants no motion", async () => {
  const context = await browser.newContext({ reducedMotion: "reduce" });
  const page = await STATES.recording(context, gateway.url);
  const animations = await page.evaluate(() => document.querySelector("voice-message").shadowRoot
    .getAnimations().length);
  assert.equal(animations, 0);
});
