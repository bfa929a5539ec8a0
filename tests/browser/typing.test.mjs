// Typing instead: the button leads to the page's text field, and is not there where there is none.
import assert from "node:assert/strict";
import { test } from "node:test";
import { button, conversation, html, open, reach, serve, stage, start } from "./browser.mjs";

const { gateway, browser } = await stage();
const FIELD = '<label>Message <input id="message"></label>';

/** A page with a field beside the recorder, after a click on the button; `before` sees to the page. */
async function typed(typeInto, before = () => {}) {
  const body = html(`${conversation().attributes} type-into="${typeInto}"`, (element) => element + FIELD);
  const page = await open(await browser.newContext(), gateway.url, body);
  await start(page).waitFor();
  await page.evaluate(before);
  await button(page, "Type instead").click();
  return page;
}

const inField = (page) => page.evaluate(() => document.activeElement.id === "message");

test("the guest is led to the text field that the page names", async () => {
  assert.equal(await inField(await typed("#message")), true);
});

test("a page that sees to it itself is told, and the focus is its own", async () => {
  const see = () => addEventListener("type", (event) => event.preventDefault());
  assert.equal(await inField(await typed("#message", see)), false);
  const focus = () => addEventListener("type", () => document.getElementById("message").focus());
  assert.equal(await inField(await typed("", focus)), true);
});

test("a selector that finds nothing, or is none, is told to the console and breaks nothing", async () => {
  const listen = () => {
    window.said = [];
    console.warn = (text) => window.said.push(text);
    addEventListener("error", ({ message }) => window.said.push(message));
  };
  for (const wrong of ["#nothing", "#["]) {
    const page = await typed(wrong, listen);
    assert.deepEqual(await page.evaluate(() => window.said), [`type-into finds nothing to type into: ${wrong}`]);
  }
});

test("field and recorder may be in one shadow tree", async () => {
  const context = await browser.newContext();
  await serve(context, "/chat", html("", () => "<my-chat></my-chat>"));
  const page = await context.newPage();
  await page.goto(`${gateway.url}/chat`);
  await page.evaluate(({ attributes, field }) => {
    const root = document.querySelector("my-chat").attachShadow({ mode: "open" });
    root.innerHTML = `<voice-message ${attributes} type-into="#message"></voice-message>${field}`;
  }, { attributes: conversation().attributes, field: FIELD });
  await button(page, "Type instead").click();
  const inside = await page.evaluate(() => document.activeElement.shadowRoot.activeElement.id);
  assert.equal(inside, "message");
});

test("without a place to type there is no button for it", async () => {
  const page = await open(await browser.newContext(), gateway.url, html(conversation().attributes));
  await button(page, "Type instead").waitFor();
  await page.evaluate(() => document.querySelector("voice-message").removeAttribute("type-into"));
  await start(page).click();
  await reach(page, "recording");
  await page.waitForTimeout(1_200);
  assert.equal(await button(page, "Type instead").count(), 0);
  await button(page, "Finish").click();
  await button(page, "Record again").waitFor();
  assert.equal(await button(page, "Type instead").count(), 0);
});
