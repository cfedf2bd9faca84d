// Compiles to dist/ and puts beside the compiled files what tsc does not carry: the SQL of the migrations and the
// fixtures. Where the development dependencies are absent (an installed package), dist/ is there already.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
if (!existsSync(tsc)) process.exit(0);

removeCompiledFilesWithoutSource(path.join(root, "dist"));
const compiled = spawnSync(process.execPath, [tsc, "-p", root], { stdio: "inherit" });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

declareClient();

const assetFolders = ["src/postgres/migrations", "test/fixtures", "demo/newsletter", "bench/preload"];
for (const folder of assetFolders) {
  const from = path.join(root, folder);
  if (existsSync(from)) cpSync(from, path.join(root, "dist", folder), { recursive: true });
}

// Types for those who import the client; the rest is a program, and nobody imports it. They stand beside its JavaScript,
// with the endings that a reader of the package finds there.
function declareClient() {
  const declared = spawnSync(process.execPath, [tsc, "-p", path.join(root, "tsconfig.client.json")], {
    stdio: "inherit",
  });
  if (declared.status !== 0) process.exit(declared.status ?? 1);
  for (const entry of readdirSync(path.join(root, "dist", "src"), { recursive: true })) {
    if (!entry.endsWith(".d.ts")) continue;
    const file = path.join(root, "dist", "src", entry);
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(/(from "\.[^"]+)\.ts"/g, '$1.js"'));
  }
}

// A test file that was renamed would otherwise still run from dist/.
function removeCompiledFilesWithoutSource(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { recursive: true })) {
    if (!entry.endsWith(".js")) continue;
    const source = path.join(root, entry.replace(/\.js$/, ".ts"));
    if (existsSync(source)) continue;
    rmSync(path.join(folder, entry));
    rmSync(path.join(folder, ".tsbuildinfo"), { force: true });
  }
}
