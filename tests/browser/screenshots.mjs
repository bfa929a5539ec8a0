// Pictures of every page and state, light and dark, phone and desktop, to be looked at by people.
//   node tests/browser/screenshots.mjs FOLDER
import { join } from "node:path";
import { conversation, html, launch, open, start } from "./browser.mjs";
import { startDemo, startGateway } from "./gateway.mjs";
import { STATES } from "./states.mjs";

const folder = process.argv[2];
if (!folder) throw new Error("usage: screenshots.mjs FOLDER");
const SIZES = { phone: { width: 375, height: 720 }, desktop: { width: 1280, height: 800 } };
const SCHEMES = ["light", "dark"];
const PAGE = `body { font-family: system-ui, "DejaVu Sans"; margin: 0; padding: 24px; background: Canvas;
  color: CanvasText } h1 { font-size: 18px; margin: 0 0 12px }`;

/** An integrator's own texts, right to left. */
const ARABIC = {
  record: "تسجيل رسالة صوتية", upTo: "حتى {time}", left: "بقي {seconds} ثوانٍ", leftShort: "بقي {seconds} ث", stop: "إنهاء",
  pause: "إيقاف مؤقت", delete: "حذف", send: "إرسال", retry: "إعادة المحاولة", again: "التسجيل من جديد",
  type: "الكتابة بدلاً من ذلك", caption: "إضافة الرسالة نصًا", play: "تشغيل", position: "الموضع",
  speed: "السرعة", offline: "لا يوجد اتصال. رسالتك محفوظة وستُرسل عند عودة الاتصال.",
};

/** docs/recorder.png: one that records beside one before sending. */
async function pair() {
  const context = await browser.newContext({ viewport: { width: 760, height: 100 }, colorScheme: "light" });
  const twice = (element) => element + element.replace("c-", "d-");
  const page = await open(context, gateway.url, html(conversation().attributes, twice));
  await page.addStyleTag({ content: `body { margin: 0; background: #f4f5f7 } h1 { display: none }
    main { display: flex; align-items: start; gap: 16px; padding: 16px } voice-message { flex: 1 }` });
  const [left, right] = [page.locator("voice-message").first(), page.locator("voice-message").nth(1)];
  for (const [recorder, ms] of [[right, 4_200], [left, 3_200]]) {
    await recorder.getByRole("button").first().click();
    await recorder.getByRole("button", { name: "Finish" }).waitFor();
    await page.waitForTimeout(ms);
    if (recorder === right) await recorder.getByRole("button", { name: "Finish" }).click();
    await right.getByRole("button", { name: "Send" }).waitFor();
  }
  await page.mouse.move(0, 0);
  await page.locator("main").screenshot({ path: join(folder, "recorder.png") });
  await context.close();
}

const browser = await launch();
const gateway = await startGateway();
for (const [name, make] of Object.entries(STATES)) {
  const context = await browser.newContext({ viewport: { width: 375, height: 300 } });
  const page = await make(context, gateway.url);
  await page.addStyleTag({ content: PAGE });
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate((scheme) => (document.documentElement.style.colorScheme = scheme), colorScheme);
    await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`), fullPage: true });
  }
  await context.close();
}
for (const [name, lang] of [
  ["failed", "de"], ["failed", "ja"], ...["idle", "warning", "review", "failed"].map((name) => [name, "ar"]),
]) {
  const context = await browser.newContext({ viewport: { width: 375, height: 300 } });
  const page = await STATES[name](context, gateway.url);
  await page.addStyleTag({ content: PAGE });
  await page.evaluate(({ lang, texts }) => {
    document.documentElement.dir = lang === "ar" ? "rtl" : "ltr";
    const recorder = document.querySelector("voice-message");
    recorder.setAttribute("lang", lang);
    if (lang === "ar") recorder.texts = texts;
  }, { lang, texts: ARABIC });
  await page.screenshot({ path: join(folder, `${name}-${lang}.png`), fullPage: true });
  await context.close();
}
await pair();

const demo = await startDemo();
for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of SCHEMES) {
    const context = await browser.newContext({ viewport, colorScheme });
    const page = await context.newPage();
    const shot = (name) => page.screenshot({
      path: join(folder, `demo-${name}-${size}-${colorScheme}.png`), fullPage: size === "phone",
    });
    await page.goto(demo.url);
    await start(page).waitFor();
    await page.waitForTimeout(1_200);
    await shot("first");
    await start(page).click();
    await page.waitForTimeout(2_500);
    await shot("recording");
    await page.locator("#recorder").getByRole("button", { name: "Finish" }).click();
    await page.locator("#recorder").getByRole("button", { name: "Send" }).click();
    await page.getByText(/^Delivered/).waitFor();
    await page.getByRole("button", { name: "A lost parcel" }).click();
    await page.locator("#recorder").getByRole("button", { name: "Send" }).click();
    await page.getByText(/^Delivered/).nth(1).waitFor();
    await page.waitForTimeout(2_500);
    await shot("sent");
    if (size === "desktop") {
      await page.getByText("Deleted at Genesys").nth(1).waitFor({ timeout: 60_000 });
      await page.waitForTimeout(1_500);
      await shot("gone");
    }
    await context.close();
  }
}
const answered = await startDemo("open-messaging");
for (const colorScheme of SCHEMES) {
  const context = await browser.newContext({ viewport: SIZES.desktop, colorScheme });
  const page = await context.newPage();
  const shot = (name) => page.screenshot({ path: join(folder, `demo-${name}-${colorScheme}.png`) });
  await page.goto(answered.url);
  await page.getByRole("button", { name: "A lost parcel" }).click();
  await page.locator("#recorder").getByRole("button", { name: "Send" }).click();
  await page.getByText(/^Delivered/).waitFor();
  const guest = await page.evaluate(() => document.getElementById("recorder").senderId);
  const mine = page.frameLocator("#desk").locator(".conversation").filter({ hasText: guest });
  await mine.locator("audio").evaluate((audio) => audio.play());
  await mine.getByLabel("Answer to the guest").fill("I have found your parcel. It comes tomorrow.");
  await mine.getByRole("button", { name: "Send" }).click();
  await page.getByText("I have found your parcel").waitFor();
  await page.waitForTimeout(1_500);
  await shot("answered");
  await page.getByText("The audio is gone").first().waitFor({ timeout: 90_000 });
  await page.waitForTimeout(1_500);
  await shot("answered-gone");
  await context.close();
}
await answered.stop();
const desk = (await (await fetch(`${demo.url}sandbox/account`)).json()).uploads[0].media_url;
for (const colorScheme of SCHEMES) {
  const context = await browser.newContext({ viewport: SIZES.desktop, colorScheme });
  const page = await context.newPage();
  await page.goto(new URL("/", desk).href);
  await page.locator(".message").first().waitFor();
  await page.screenshot({ path: join(folder, `sandbox-${colorScheme}.png`) });
  await context.close();
}
await demo.stop();
await browser.close();
await gateway.stop();
