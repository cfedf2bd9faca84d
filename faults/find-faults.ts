// The faults that there are: every file of `cases/`, by its name.

import { readdirSync } from "node:fs";
import path from "node:path";
import type { Fault } from "./fault.ts";

export interface NamedFault {
  readonly name: string;
  readonly fault: Fault;
}

/** `names`: whole names, or parts of names that are wanted; all if there are none. Behind a minus, parts that are not. */
export async function findFaults(names: readonly string[] = []): Promise<readonly NamedFault[]> {
  const wanted = names.filter((name) => !name.startsWith("-"));
  const unwanted = names.filter((name) => name.startsWith("-")).map((name) => name.slice(1));
  const folder = path.join(import.meta.dirname, "cases");
  const known = readdirSync(folder)
    .filter((file) => file.endsWith(".js"))
    .map((file) => file.slice(0, -".js".length));
  const isMeant = (name: string, part: string): boolean => (known.includes(part) ? name === part : name.includes(part));
  const found = known
    .filter((name) => wanted.length === 0 || wanted.some((part) => isMeant(name, part)))
    .filter((name) => !unwanted.some((part) => name.includes(part)))
    .toSorted((one, other) => one.localeCompare(other));
  return await Promise.all(
    found.map(async (name) => {
      const { fault } = (await import(path.join(folder, `${name}.js`))) as { fault: Fault };
      return { name, fault };
    }),
  );
}
