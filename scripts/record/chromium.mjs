// Records the clips listed for Chromium in clips.json; its microphone is a file.
//   node chromium.mjs PAGE_URL MICROPHONE_WAV OUT_FOLDER
import {createRequire} from 'node:module';
import {readFileSync, writeFileSync} from 'node:fs';

// Modules lie where the caller is, not beside this file.
const {chromium} = createRequire(process.cwd() + '/')('playwright-core');
const [page_url, microphone, out] = process.argv.slice(2);
const clips = JSON.parse(readFileSync(new URL('clips.json', import.meta.url))).chromium;
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${microphone}`,
  ],
});
const context = await browser.newContext({permissions: ['microphone']});
await Promise.all(Object.entries(clips).map(async ([name, wanted]) => {
  const page = await context.newPage();
  await page.goto(page_url);
  const clip = await page.evaluate((wanted) => record(wanted), wanted);
  const bytes = Buffer.from(clip.base64, 'base64');
  writeFileSync(`${out}/chromium-${name}`, bytes);
  console.log(`chromium-${name}: ${bytes.length} bytes, ${clip.type}`);
}));
await browser.close();
