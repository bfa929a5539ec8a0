// Makes dist/voicepost.js, the one file that the gateway serves, and its gzipped twin. Both are
// committed, so that building the gateway needs no node. `--check` only compares: the committed
// files must be what the sources say.
import { build, transform } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { gzipAsync } from "@gfx/zopfli";

const BYTES_MAX = 20_000;
const here = new URL(".", import.meta.url);
/** The style sheet is a text to the bundler, which leaves its white space alone. */
const styles = {
  name: "styles",
  setup({ onLoad }) {
    onLoad({ filter: /style\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const [before, css, after] = source.split("`");
      const { code } = await transform(css, { loader: "css", minify: true });
      return { contents: `${before}\`${code.replaceAll("\\", "\\\\")}\`${after}` };
    });
  },
};
/**
 * The texts go out a language at a time: gzip makes more of neighbours that are alike. The table
 * that comes of it is the one in the source.
 */
const texts = {
  name: "texts",
  setup({ onLoad }) {
    onLoad({ filter: /texts\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const [, before, table, after] = /^(.*const TABLE = )(\{.*?\n\});(.*)$/s.exec(source);
      const rows = Object.entries(Function(`return ${table}`)());
      const columns = rows[0][1].map((_, column) => rows.map(([, row]) => row[column]).join("|"));
      if (columns.some((column) => column.split("|").length !== rows.length)) {
        throw new Error("a text is missing, or has a | in it");
      }
      const names = JSON.stringify(rows.map(([name]) => name).join("|"));
      const made = `Object.fromEntries(${names}.split("|").map((name, at) => [name,
        ${JSON.stringify(columns)}.map((column) => column.split("|")[at])]))`;
      return { contents: `${before}${made};${after}` };
    });
  },
};
const built = await build({
  absWorkingDir: here.pathname,
  entryPoints: ["src/voicepost.js"],
  plugins: [styles, texts],
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome109", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  banner: { js: "/*! Voicepost recorder. MIT OR Apache-2.0 */" },
  write: false,
});
const script = Buffer.from(built.outputFiles[0].contents);
const file = new URL("dist/voicepost.js", here);
const twin = new URL("dist/voicepost.js.gz", here);
const isCheck = process.argv.includes("--check");
// zlib's gzip is a twentieth larger; every page pays for that, the build pays once.
const zipped = isCheck ? await readFile(twin) : await gzipAsync(script, { numiterations: 15 });
console.log(`voicepost.js: ${script.length} bytes, ${zipped.length} gzipped`);
if (zipped.length >= BYTES_MAX) throw new Error(`more than ${BYTES_MAX} bytes gzipped`);
if (isCheck) {
  await checkNames();
  const same = (await readFile(file)).equals(script) && gunzipSync(zipped).equals(script);
  if (!same) {
    console.error("web/dist is not what web/src says: run `npm ci && npm run build` in web/");
    process.exit(1);
  }
} else {
  await mkdir(new URL("dist/", here), { recursive: true });
  await writeFile(file, script);
  await writeFile(twin, zipped);
}

/** The types name the same texts as the table. */
async function checkNames() {
  const table = await readFile(new URL("src/texts.js", here), "utf8");
  const types = await readFile(new URL("voicepost.d.ts", here), "utf8");
  const rows = table.slice(table.indexOf("const TABLE"), table.indexOf("/** The language"));
  const known = [...rows.matchAll(/^  (\w+): \[/gm)].map((row) => row[1]).sort().join(" ");
  const union = types.slice(types.indexOf("TextName ="), types.indexOf("export class"));
  const named = [...union.matchAll(/"(\w+)"/g)].map((name) => name[1]).sort().join(" ");
  if (known.length === 0 || known !== named) {
    throw new Error(`texts.js and voicepost.d.ts name different texts:\n${known}\n${named}`);
  }
}
