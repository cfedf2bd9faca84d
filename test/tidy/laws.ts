// The laws of the import graph as pure functions: files in, complaints out. An empty answer means that the law holds.
// Each complaint names the file and what to do about it.

import { importsOf, stationOf, withoutComments, type Import, type SourceFile } from "./source-tree.ts";

type Complaints = readonly string[];

/** Law 1: no cycle. Types count too: a reader follows them just as well. */
export function importCycles(files: readonly SourceFile[]): Complaints {
  const targets = new Map(files.map((file) => [file.path, targetsOf(file)]));
  const state = new Map<string, "open" | "done">();
  const cycles: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      cycles.push([...trail.slice(trail.indexOf(file)), file].join(" → "));
      return;
    }
    state.set(file, "open");
    for (const target of targets.get(file) ?? []) visit(target, [...trail, file]);
    state.set(file, "done");
  };
  for (const file of targets.keys()) visit(file, []);
  return cycles;
}

/** Law 1: no file that only passes on what others export. */
export function barrelFiles(files: readonly SourceFile[]): Complaints {
  return files
    .filter((file) => {
      const statements = withoutComments(file.text)
        .replaceAll(/^\s*export\s[^;"']*?\bfrom\s+"[^"]+";?/gm, "")
        .trim();
      return statements === "" || /(^|\/)index\.ts$/.test(file.path);
    })
    .map((file) => `${file.path} is a barrel: import from where a thing is made`);
}

/** Law 1: a name says what a file is about. */
export function shapelessNames(files: readonly SourceFile[]): Complaints {
  return files
    .filter((file) => /(^|[/.-])(?:utils?|helpers?|common|types?|misc|shared|lib)(?=[/.-])/.test(file.path))
    .map((file) => `${file.path}: name it after what it does`);
}

/** Law 2: the words and the pure stations know only the words. What is only a type of `platform` may be named. */
export function impureImports(files: readonly SourceFile[]): Complaints {
  const pure = new Set(["mail", "governor", "outcome"]);
  return files
    .filter((file) => pure.has(stationOf(file.path) ?? ""))
    .flatMap((file) =>
      importsOf(file)
        .filter((imported) => !isAllowedInPure(stationOf(file.path)!, imported))
        .map(({ specifier }) => `${file.path} imports ${specifier}: it may import nothing but mail`),
    );
}

function isAllowedInPure(station: string, { target, typeOnly }: Import): boolean {
  const to = target === undefined ? undefined : stationOf(target);
  if (to === "mail" || to === station) return true;
  return station !== "mail" && to === "platform" && typeOnly;
}

/**
 * Law 2: time, randomness, DNS and sockets come in as arguments. Doors and the database client have their own, and so has
 * the client: it is a part of the user's program, and no simulation of ours runs it.
 */
export function worldlyCode(files: readonly SourceFile[]): Complaints {
  const worldly = new Set(["platform", "processes", "doors", "postgres", "client"]);
  return files
    .filter((file) => !worldly.has(stationOf(file.path) ?? ""))
    .flatMap((file) => [...worldlyImports(file), ...worldlyCalls(file)]);
}

function worldlyImports(file: SourceFile): Complaints {
  return importsOf(file)
    .filter(({ specifier, typeOnly }) => !typeOnly && /^node:(?:net|tls|dns|dgram|timers)(?:\/|$)/.test(specifier))
    .map(({ specifier }) => `${file.path} imports ${specifier}: take it as an argument`);
}

const WORLDLY_CALL =
  /\b(?:Math\.random|Date\.now|performance\.now|process\.hrtime|new Date\(\)|(?<!\.)set(?:Timeout|Interval|Immediate)\b)/g;

function worldlyCalls(file: SourceFile): Complaints {
  return [...withoutComments(file.text).matchAll(WORLDLY_CALL)].map(
    ([call]) => `${file.path} uses ${call}: take a Clock or a Random as an argument`,
  );
}

/** Law 3: SQL only in stores and migrations; a transaction has to begin somewhere. */
export function strayedSql(files: readonly SourceFile[]): Complaints {
  return files
    .filter((file) => !mayHoldSql(file.path))
    .flatMap((file) =>
      sqlIn(withoutComments(file.text)).map((found) => `${file.path} holds SQL (${found}): it belongs into a store`),
    );
}

function sqlIn(code: string): readonly string[] {
  return [...code.matchAll(SQL_VERB), ...code.matchAll(SQL_CLAUSE)].map(([found]) =>
    found.slice(0, 40).replaceAll(/\s+/g, " "),
  );
}

function mayHoldSql(file: string): boolean {
  return file.endsWith("-store.ts") || /^src\/postgres\/(?:migrations\/|transaction\.ts$)/.test(file);
}

/** Verbs in capitals at the start of a string, or whole clauses in any case. */
const SQL_VERB =
  /["'`]\s*(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|CREATE|ALTER|DROP|COPY|TRUNCATE|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|LOCK|LISTEN|NOTIFY|SET|SHOW)\b(?=[\s"'`;])/g;
const SQL_CLAUSE =
  /\bselect\s[^"'`;]{1,200}?\sfrom\s+postlane\.|\b(?:insert\s+into|delete\s+from|update|copy)\s+postlane\./gi;

/** Law 4: of the four parts of the road, only the dispatcher joins more than one; processes construct, doors have a law. */
export function joinedParts(files: readonly SourceFile[]): Complaints {
  const parts = ["queue", "governor", "compose", "handover"];
  const joiners = new Set(["dispatcher", "processes", "doors"]);
  return stationsOf(files)
    .filter((station) => !joiners.has(station))
    .map((station) => ({ station, known: parts.filter((part) => knows(files, station, part)) }))
    .filter(({ known }) => known.length > 1)
    .map(({ station, known }) => `${station} joins ${known.join(" and ")}: only dispatcher may`);
}

function knows(files: readonly SourceFile[], station: string, part: string): boolean {
  if (station === part) return true;
  return files
    .filter((file) => stationOf(file.path) === station)
    .some((file) => targetsOf(file).some((target) => stationOf(target) === part));
}

/** Law 4: what a station must not know. Packages are named as they are imported. */
const FORBIDDEN: readonly { readonly from: string; readonly to: RegExp; readonly why: string }[] = [
  { from: "doors", to: /^src\/(?:dispatcher|governor|compose)\//, why: "a door makes one call into a station" },
  { from: "handover", to: /^(?:src\/(?:postgres|queue)\/.*|.*-store\.ts|pg.*)$/, why: "it never sees the database" },
  { from: "governor", to: /^(?:src\/(?:postgres|queue|handover)\/.*|pg.*)$/, why: "it is pure" },
];

export function forbiddenKnowledge(files: readonly SourceFile[]): Complaints {
  return files.flatMap((file) =>
    FORBIDDEN.filter(({ from }) => stationOf(file.path) === from).flatMap(({ to, why }) =>
      importsOf(file)
        .filter(({ specifier, target }) => to.test(target ?? specifier))
        .map(({ specifier }) => `${file.path} imports ${specifier}: ${why}`),
    ),
  );
}

/** Law 3: each table is written by one folder. */
export function sharedTables(files: readonly SourceFile[]): Complaints {
  const writers = new Map<string, Set<string>>();
  for (const file of files.filter(({ path }) => path.endsWith("-store.ts"))) {
    for (const table of tablesWritten(withoutComments(file.text))) {
      writers.set(table, (writers.get(table) ?? new Set()).add(stationOf(file.path) ?? file.path));
    }
  }
  return [...writers]
    .filter(([, folders]) => folders.size > 1)
    .map(([table, folders]) => `postlane.${table} is written by ${[...folders].toSorted().join(" and ")}`);
}

function tablesWritten(code: string): readonly string[] {
  const writes = code.matchAll(/\b(?:insert\s+into|update|delete\s+from|merge\s+into)\s+(?:only\s+)?postlane\.(\w+)/gi);
  const copies = code.matchAll(/\bcopy\s+postlane\.(\w+)[^;"'`]*?\bfrom\b/gi);
  return [...writes, ...copies].map(([, table = ""]) => table.toLowerCase());
}

function targetsOf(file: SourceFile): readonly string[] {
  return importsOf(file).flatMap(({ target }) => target ?? []);
}

function stationsOf(files: readonly SourceFile[]): readonly string[] {
  return [...new Set(files.flatMap((file) => stationOf(file.path) ?? []))];
}
