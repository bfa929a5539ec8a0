// Records the clips listed for Firefox in clips.json, from the default source of the sound server.
//   node firefox.mjs PAGE_URL OUT_FOLDER
import {createRequire} from 'node:module';
import {readFileSync, writeFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

const require = createRequire(process.cwd() + '/');
const puppeteer = (await import(pathToFileURL(require.resolve('puppeteer-core')))).default;
const [page_url, out] = process.argv.slice(2);
const clips = JSON.parse(readFileSync(new URL('clips.json', import.meta.url))).firefox;
const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath: '/usr/bin/firefox-esr',
  headless: true,
  protocolTimeout: 120000,
  extraPrefsFirefox: {
    'media.navigator.permission.disabled': true,
    'media.navigator.streams.fake': false,
    'media.autoplay.default': 0,
  },
});
await Promise.all(Object.entries(clips).map(async ([name, wanted]) => {
  const page = await browser.newPage();
  await page.goto(page_url);
  const clip = await page.evaluate((wanted) => record(wanted), wanted);
  const bytes = Buffer.from(clip.base64, 'base64');
  writeFileSync(`${out}/firefox-${name}`, bytes);
  console.log(`firefox-${name}: ${bytes.length} bytes, ${clip.type}`);
}));
await browser.close();
