// Under the strictest policy that still plays a take, and with trusted types.
import assert from "node:assert/strict";
import { test } from "node:test";
import { button, conversation, html, launch, open, reach, record } from "./browser.mjs";
import { startGateway } from "./gateway.mjs";

const POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; media-src blob:; "
  + "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
  + "trusted-types 'none'";

test("a strict content security policy has nothing to complain about", async () => {
  const gateway = await startGateway();
  const browser = await launch();
  const context = await browser.newContext();
  await context.addInitScript(() => {
    window.violations = [];
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      window.violations.push(`${violatedDirective}: ${blockedURI}`);
    });
  });
  const { attributes } = conversation();
  const page = await open(context, gateway.url, html(attributes), {
    "content-security-policy": POLICY, "permissions-policy": "microphone=(self)",
  });
  await record(page, 1_500);
  await button(page, "Play").click();
  await button(page, "Pause playback").waitFor();
  await button(page, "Send").click();
  await reach(page, "sent");
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  // The policy is in force: what it forbids is seen.
  await page.evaluate(() => document.body.append(Object.assign(document.createElement("style"), {
    textContent: "body { color: red }",
  })));
  await page.waitForFunction(() => window.violations.length > 0);
  await browser.close();
  await gateway.stop();
});
