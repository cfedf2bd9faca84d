// The import laws of the design, on the real tree; and every law on a planted break, so that a law that can no longer
// see anything is noticed.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  barrelFiles,
  forbiddenKnowledge,
  importCycles,
  impureImports,
  joinedParts,
  shapelessNames,
  sharedTables,
  strayedSql,
  worldlyCode,
} from "./laws.ts";
import { importsOf, productionFiles, readFiles, type SourceFile } from "./source-tree.ts";

/** Fewer files or imports than this, and the tests look at the wrong place. */
const sourceFilesMin = 40;
const importsMin = 80;

type Law = (files: readonly SourceFile[]) => readonly string[];

const LAWS: readonly { readonly name: string; readonly law: Law; readonly broken: Readonly<Record<string, string>> }[] =
  [
    {
      name: "no import cycle",
      law: importCycles,
      broken: {
        "src/mail/a.ts": `import { b } from "./b.ts";\nexport const a = b;`,
        "src/mail/b.ts": `import type { C } from "../queue/c.ts";\nexport const b = 1;`,
        "src/queue/c.ts": `export const later = () => import("../mail/a.ts");`,
      },
    },
    {
      name: "no barrel file",
      law: barrelFiles,
      broken: { "src/mail/words.ts": `// All words.\nexport * from "./state.ts";\nexport { a } from "./a.ts";\n` },
    },
    {
      name: "no file without a subject",
      law: shapelessNames,
      broken: { "src/mail/utils.ts": "export const a = 1;" },
    },
    {
      name: "mail, governor and outcome import nothing but mail",
      law: impureImports,
      broken: { "src/outcome/judge.ts": `import { readFile } from "node:fs/promises";` },
    },
    {
      name: "time, randomness, DNS and sockets come in as arguments",
      law: worldlyCode,
      broken: { "src/dispatcher/wait.ts": "export const wait = () => setTimeout(() => {}, 10);" },
    },
    {
      name: "SQL stands only in stores and migrations",
      law: strayedSql,
      broken: { "src/queue/claim.ts": "export const sql = `\n  SELECT 1 FROM postlane.queue`;" },
    },
    {
      name: "only dispatcher joins queue, governor, compose and handover",
      law: joinedParts,
      broken: { "src/campaigns/send.ts": `import { a } from "../queue/a.ts";\nimport { b } from "../compose/b.ts";` },
    },
    {
      name: "doors, handover and governor know only what they may",
      law: forbiddenKnowledge,
      broken: { "src/handover/outlet.ts": `import { Pool } from "pg";` },
    },
    {
      name: "each table is written by one folder",
      law: sharedTables,
      broken: {
        "src/queue/queue-store.ts": "const a = `UPDATE postlane.message SET x = 1`;",
        "src/events/event-store.ts": "const b = `INSERT INTO postlane.message VALUES (1)`;",
      },
    },
  ];

describe("the import laws", () => {
  for (const { name, law, broken } of LAWS) {
    it(name, () => assert.deepEqual(law(productionFiles()), []));
    it(`${name}: a planted break is seen`, () => {
      const files = Object.entries(broken).map(([path, text]) => ({ path, text }));
      assert.notDeepEqual(law(files), []);
    });
  }

  it("looks at the whole tree", () => {
    const files = productionFiles();
    assert.ok(files.length >= sourceFilesMin, `only ${files.length} source files`);
    const imports = files.reduce((sum, file) => sum + importsOf(file).length, 0);
    assert.ok(imports >= importsMin, `only ${imports} imports`);
  });

  it("no test, benchmark or demo file without a subject either", () => {
    assert.deepEqual(shapelessNames(readFiles(["test", "bench", "faults", "demo", "scripts"], [".ts", ".mjs"])), []);
  });
});
