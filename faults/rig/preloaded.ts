// How the rig's modules get into Postlane's processes, which know nothing of them: Node loads them ahead of the program.

import path from "node:path";
import { pathToFileURL } from "node:url";

export type PreloadName = `${string}-preload`;

/** Variables of a process that loads `faults/rig/<module>.js` first, in this order; its children inherit them. */
export function preloaded(...modules: readonly PreloadName[]): Readonly<Record<string, string>> {
  const urlOf = (module: string): string => pathToFileURL(path.join(import.meta.dirname, `${module}.js`)).href;
  return { NODE_OPTIONS: modules.map((module) => `--import ${urlOf(module)}`).join(" ") };
}
