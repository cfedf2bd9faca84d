// docs/guides/campaigns.md, run as it stands: its files are written, its commands work in their order, and what it shows of
// their answers is what they say.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { testDatabase } from "../rig/postgres.ts";
import { projectRoot } from "../tidy/source-tree.ts";
import { runCommand } from "./cli-command.ts";

const FILES: Readonly<Record<string, string>> = {
  csv: "members.csv",
  yaml: "newsletter/template.yaml",
  liquid: "newsletter/body.txt",
};
const COMMANDS_MIN = 9;

test("the guide's commands work as they stand, and say what it shows", async (t) => {
  const database = await testDatabase(t);
  mkdirSync(path.join(database.dataDir, "newsletter"));
  const guide = readFileSync(path.join(projectRoot, "docs/guides/campaigns.md"), "utf8");
  let said = "";
  let commands = 0;
  for (const [, language = "", text = ""] of guide.matchAll(/^```(\w+)\n([^]*?)^```$/gm)) {
    const file = FILES[language];
    if (file !== undefined) writeFileSync(path.join(database.dataDir, file), text);
    else if (language === "text") assert.equal(said, text);
    else {
      for (const line of text.trimEnd().split("\n")) {
        const { exitCode, stdout, stderr } = await runCommand(database, line.split(" ").slice(1));
        assert.equal(exitCode, 0, `${line}: ${stderr}`);
        said = stdout;
        commands++;
      }
    }
  }
  assert.ok(commands >= COMMANDS_MIN, `only ${commands} commands were found`);
});
