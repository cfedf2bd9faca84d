// Where Prometheus' own checker is: in the path, or where POSTLANE_TEST_PROMTOOL says. A test without it is skipped loudly,
// as without any Debian package.

import { existsSync } from "node:fs";
import path from "node:path";
import type { TestContext } from "node:test";

export function promtool(t: TestContext): string | undefined {
  const named = process.env["POSTLANE_TEST_PROMTOOL"];
  const folders = (process.env["PATH"] ?? "").split(path.delimiter);
  const found = [
    ...(named === undefined ? [] : [named]),
    ...folders.map((folder) => path.join(folder, "promtool")),
  ].find((file) => existsSync(file));
  if (found !== undefined) return found;
  const line = "SKIPPED: needs Debian package prometheus: apt-get install prometheus, or POSTLANE_TEST_PROMTOOL";
  if (process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1") throw new Error(`${t.name}: ${line}`);
  process.stderr.write(`${line} (${t.name})\n`);
  t.skip(line);
  return undefined;
}
