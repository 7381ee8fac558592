// Builds the component: `node build.mjs OUTPUT`. The engine's clocks, chance, files and network are left out, so that it
// imports nothing and the gateway admits it without a grant.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [output, packages] = process.argv.slice(2);
// Installed beside the build's other tools, not in this folder.
const found = createRequire(pathToFileURL(`${packages}/package.json`)).resolve("@bytecodealliance/componentize-js");
const { componentize } = await import(pathToFileURL(found));
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { component, imports } = await componentize({
  sourcePath: here("plugin.js"),
  witPath: here("../../wit"),
  worldName: "model-mapper",
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
});
if (imports.length > 0) {
  throw new Error(`it imports ${imports}`);
}
await mkdir(dirname(output), { recursive: true });
await writeFile(`${output}.partial`, component);
await rename(`${output}.partial`, output);
