// Sandbox and gateway as the programs that people run, on ports of their own, for one test file.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = process.env.VOICEPOST ?? new URL("../../target/debug/voicepost", import.meta.url).pathname;
const START_MS_MAX = 120_000;

/** Starts Voicepost and waits for a line; `find` makes what is wanted of it. */
const start = (args, environment, cwd, find) => run(PROGRAM, args, environment, cwd, find);

/** The same with any program. `said()` is all it has printed. */
export async function run(program, args, environment, cwd, find) {
  const child = spawn(program, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const found = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${args[0]} did not start:\n${said}`)), START_MS_MAX);
    const read = (piece) => {
      said += piece;
      for (const line of said.split("\n")) {
        const value = find(line);
        if (value) {
          clearTimeout(late);
          resolve(value);
        }
      }
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${args[0]} ended with ${code}:\n${said}`)));
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(late);
  };
  return { found, stop, said: () => said };
}

function json(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The demo of a route: `{url, stop}`. */
export async function startDemo(route = "media-api") {
  const find = (line) => json(line)?.step === "open" && json(line).values.url;
  const args = ["demo", "--json", "--port", "0", "--route", route];
  const demo = await start(args, process.env, tmpdir(), find);
  return { url: demo.found, stop: demo.stop };
}

/**
 * A gateway that takes each message whole and then answers so; browsers tell of bytes that went out
 * only where there is a server. `{url, posts(), stop}`.
 */
export async function startRefusing(status, code, headers = {}) {
  let posts = 0;
  const open = {
    "access-control-allow-origin": "*", "access-control-allow-headers": "*, authorization",
    "access-control-expose-headers": "retry-after",
  };
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      if (request.method !== "POST") return response.writeHead(200, open).end("{}");
      posts += 1;
      response.writeHead(status, { ...open, ...headers });
      return response.end(JSON.stringify({ code, status, detail: code, retryable: status === 503 }));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`, posts: () => posts,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}

/** The sandbox by itself; `found` is its address. */
export const startSandbox = (cwd) => start(["sandbox", "--listen", "127.0.0.1:0"], process.env, cwd,
  (line) => /^sandbox on (http:\S+):/.exec(line)?.[1]);

/**
 * A gateway before a sandbox. `settings` as in `{ LIMITS__DURATION_MS_MAX: 8000 }`, or made of the
 * sandbox's address. Returns its `url`, the sandbox's `account()`, `clip(upload)` with the bytes as
 * an agent hears them, and `stop`.
 */
export async function startGateway(settings = {}) {
  const data = await mkdtemp(join(tmpdir(), "voicepost-browser-"));
  const sandbox = await startSandbox(data);
  const given = typeof settings === "function" ? await settings(sandbox.found) : settings;
  const all = {
    SERVER__LISTEN: "127.0.0.1:0", ADMIN__LISTEN: "127.0.0.1:0", GENESYS__ROUTE: "media-api",
    GENESYS__LOGIN_URL: sandbox.found, GENESYS__API_URL: sandbox.found,
    LEDGER__URL: `sqlite:${join(data, "voicepost.db")}`, SPOOL__DIR: join(data, "spool"),
    LOG__FORMAT: "json", ...given,
  };
  const environment = {
    ...process.env, GENESYS_CLIENT_ID: "sandbox-client", GENESYS_CLIENT_SECRET: "sandbox-secret",
  };
  for (const [name, value] of Object.entries(all)) environment[`VOICEPOST__${name}`] = String(value);
  const gateway = await start(["serve"], environment, data, (line) => {
    const event = json(line);
    return event?.message === "gateway started" && `http://${event.public_addr}`;
  });
  return {
    url: gateway.found,
    sandbox: sandbox.found,
    account: async () => (await fetch(`${sandbox.found}/sandbox/account`)).json(),
    clip: async (upload) => Buffer.from(await (await fetch(upload.media_url)).arrayBuffer()),
    faults: (rules) => fetch(`${sandbox.found}/sandbox/faults`, {
      method: "POST", body: JSON.stringify(rules),
    }),
    async stop() {
      await gateway.stop();
      await sandbox.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}
