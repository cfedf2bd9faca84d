// docs/reference/keys.md names every limit of keys with its figure, and no other.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

const ROOT = path.resolve(import.meta.dirname, "../../..");

test("every limit is on the page with its figure", () => {
  const senders = readdirSync(path.join(ROOT, "src/senders")).filter((file) => /(?<!\.test)\.ts$/.test(file));
  const files = [...senders.map((file) => `src/senders/${file}`), "src/doors/cli/key-rights.ts"];
  const inCode = files.flatMap((file) => limitsIn(readFileSync(path.join(ROOT, file), "utf8")));
  const page = readFileSync(path.join(ROOT, "docs/reference/keys.md"), "utf8");
  const onPage = Array.from(page.matchAll(/^\| `(\w+)` \| ([\d,.]+) \|/gm), ([, name, figure]) => [
    name,
    Number(figure!.replaceAll(",", "")),
  ]);
  assert.ok(inCode.length >= 20, `only ${inCode.length} limits were found`);
  assert.deepEqual(onPage.map(String).toSorted(), inCode.map(String).toSorted());
});

/** `const KEYS_KEPT_MAX = 10_000;` → `keys_kept_max`, 10000. What measures days or shortens a message is no limit. */
function limitsIn(code: string): readonly (readonly [string, number])[] {
  const constants = code.matchAll(/^(?:export )?const ([A-Z][A-Z_]*) = ([\d_.]+(?: \* [\d_.]+)*);/gm);
  return Array.from(constants, ([, name, product]) => {
    const factors = product!.split(" * ").map((factor) => Number(factor.replaceAll("_", "")));
    return [name!.toLowerCase(), factors.reduce((all, factor) => all * factor, 1)] as const;
  }).filter(([name]) => name !== "day_ms" && !/^(?:printed|shown)_/.test(name));
}
