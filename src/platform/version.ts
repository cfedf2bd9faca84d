// Which version of Postlane this is: that of the package that this file lies in, at dist/src/platform.

import { readFileSync } from "node:fs";

export function readVersion(): string {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { readonly version: string }).version;
}
