// WebKitGTK, the stand-in for Safari, over plain WebDriver. Its mock microphone beeps.
//   node webkit.mjs DRIVER_PORT
import { startDemo } from "../gateway.mjs";
import { check, visit } from "./visit.mjs";

const driver = `http://127.0.0.1:${process.argv[2]}`;

/** One WebDriver command; its value. */
async function call(method, path, body) {
  const answer = await fetch(driver + path, {
    method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body),
  });
  const { value } = await answer.json();
  if (!answer.ok) throw new Error(`${path}: ${JSON.stringify(value)}`);
  return value;
}

const options = {
  binary: process.env.MINIBROWSER,
  args: [
    "--automation", "--enable-media-stream=true", "--enable-mock-capture-devices=true",
    "--autoplay-policy=allow",
  ],
};
const demo = await startDemo();
const { sessionId } = await call("POST", "/session", {
  capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options } },
});
const session = `/session/${sessionId}`;
try {
  await call("POST", `${session}/timeouts`, { script: 100_000 });
  await call("POST", `${session}/url`, { url: demo.url });
  const script = `const done = arguments[0];
    (${visit})().then(done, (error) => done({ error: String(error) }));`;
  const seen = await call("POST", `${session}/execute/async`, { script, args: [] });
  if (seen.error) throw new Error(seen.error);
  check(seen, /^audio\/mp4/);
} finally {
  await call("DELETE", session);
  await demo.stop();
}
