// Prism between gateway and sandbox: it holds requests and answers against the description of the
// public API, and writes down where they differ.
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { join } from "node:path";
import { run } from "../browser/gateway.mjs";

const HERE = new URL(".", import.meta.url).pathname;
export const INSTALLED = process.env.CONTRACT_INSTALLED
  ?? new URL("../../target/contract", import.meta.url).pathname;

/** The description, with every object closed: a field it does not know is a violation. */
async function strict() {
  const description = JSON.parse(await readFile(join(HERE, "openapi-subset.json"), "utf8"));
  for (const schema of Object.values(description.components.schemas)) {
    if (schema.properties) schema.additionalProperties ??= false;
  }
  return description;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Prism before `upstream`. `url` is its address, `calls()` what came by as `METHOD path` with its
 * answer's status, `violations()` what broke the description. It is not told to answer violations
 * with errors of its own (`--errors`): the gateway would repeat, and the log would not say which
 * field it was.
 */
export async function startPrism(upstream, folder) {
  const description = join(folder, "strict.json");
  await writeFile(description, JSON.stringify(await strict()));
  const program = join(INSTALLED, "node_modules/.bin/prism");
  const port = await freePort();
  const args = ["proxy", "-h", "127.0.0.1", "-p", String(port), description, upstream];
  const prism = await run(program, args, { ...process.env, NO_COLOR: "1" }, folder,
    (line) => /Prism is listening on (http:\S+)/.exec(line)?.[1]);
  const lines = (pattern) => [...prism.said().matchAll(pattern)].map((found) => found.slice(1));
  const violations = () => lines(/Violation: (.+)/g).map(([what]) => what);
  return {
    url: prism.found,
    stop: prism.stop,
    calls: () => lines(/> Forwarding "(\w+)" request to http:\/\/[^/]+(\/\S*?)\.\.\./g)
      .map(([method, target]) => `${method.toUpperCase()} ${target}`),
    violations,
    /**
     * What it has found so far, all of it: a request that it must object to is sent last, and
     * waited for. So a Prism that sees nothing fails as well.
     */
    async settled() {
      const marker = "is-no-part-of-the-description";
      await fetch(`${prism.found}/oauth/token`, {
        method: "POST",
        headers: { authorization: "Basic eDp5", "content-type": "application/x-www-form-urlencoded" },
        body: `grant_type=${marker}`,
      });
      const objected = (what) => /^request\.body\.grant_type /.test(what);
      for (let looks = 0; looks < 100; looks += 1) {
        if (violations().some(objected)) return violations().filter((what) => !objected(what));
        await pause(50);
      }
      throw new Error(`Prism does not object to a wrong grant:\n${prism.said()}`);
    },
  };
}
