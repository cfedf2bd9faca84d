// The commands of docs/reference/http.md, as they stand there, against a door of a test.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";
import { needs } from "../rig/needs.ts";
import { countMail, startHttp } from "./http-rig.ts";

const page = readFileSync(new URL("../../../docs/reference/http.md", import.meta.url), "utf8");

test("every command of the page is accepted", async (t) => {
  if (!needs(t, "curl")) return;
  const rig = await startHttp(t);
  const env = { ...process.env, POSTLANE_KEY: await rig.key({ scope: "operate" }) };
  const commands = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, command]) => command!);
  assert.equal(commands.length, 8);
  for (const command of commands) {
    const here = command
      .replaceAll("http://127.0.0.1:2580", rig.url)
      .replaceAll(/^curl /gm, "curl -sS --fail-with-body ");
    const { stdout } = await promisify(execFile)("sh", ["-ec", here], { env, cwd: rig.dataDir });
    assert.match(stdout, /"id":"sub_\d+"|"object":"list_import"|"status":"running"|,ann@example\.com,queued,/, command);
  }
  assert.deepEqual(await countMail(rig), { submissions: 6, messages: 6 });
});
