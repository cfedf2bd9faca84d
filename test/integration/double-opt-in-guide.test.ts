// docs/guides/double-opt-in.md: its template and its command do what it says, and its limits have the figures that they have
// in the code.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { PAGE_BODY_BYTES_MAX, PAGES_BURST, PAGES_PER_S } from "../../src/doors/pages/page-limits.ts";
import { SUBSCRIPTION_DATA_BYTES_MAX } from "../../src/subscriptions/request-subscription.ts";
import {
  CONFIRMATIONS_APART_MINUTES_MIN,
  CONFIRMATIONS_PER_DAY_MAX,
  SUBSCRIPTION_DAYS_MAX,
} from "../../src/subscriptions/subscription-store.ts";
import { needs } from "../rig/needs.ts";
import { jsonOf } from "./cli-command.ts";
import { recipientsOf, startSubscriptions } from "./subscription-rig.ts";

const GUIDE = readFileSync(new URL("../../../docs/guides/double-opt-in.md", import.meta.url), "utf8");

test("the guide's template is pushed, its command asks, and the link of the mail confirms", async (t) => {
  if (!needs(t, "curl")) return;
  const rig = await startSubscriptions(t);
  const dir = path.join(rig.dataDir, "confirm");
  mkdirSync(dir);
  const [, yaml, text] = /```yaml\n([^]*?)```[^]*?```\n([^]*?)```/.exec(GUIDE)!;
  writeFileSync(path.join(dir, "template.yaml"), yaml!);
  writeFileSync(path.join(dir, "body.txt"), text!);
  assert.equal((await jsonOf<{ id: string }>(rig, ["template", "push", dir])).id, "confirm@2");
  const [, command] = /```sh\n([^]*?)```/.exec(GUIDE)!;
  const here = command!.replace("http://127.0.0.1:2580", rig.url).replace("curl ", "curl -sS --fail-with-body ");
  const { stdout } = await promisify(execFile)("sh", ["-ec", here], {
    env: { ...process.env, POSTLANE_KEY: rig.siteKey },
  });
  assert.match(stdout, /^\{"object":"subscription","id":"sbn_\d+","state":"pending"\}$/);
  assert.equal((await rig.confirm(await rig.linkTo("ann@example.com"))).status, 200);
  assert.equal((await recipientsOf(rig))[0]!.data["first_name"], "Ann");
});

test("every limit is in the guide with its figure", () => {
  const limits = {
    SUBSCRIPTION_DAYS_MAX,
    CONFIRMATIONS_APART_MINUTES_MIN,
    CONFIRMATIONS_PER_DAY_MAX,
    SUBSCRIPTION_DATA_BYTES_MAX,
    PAGE_BODY_BYTES_MAX,
    PAGES_PER_S,
    PAGES_BURST,
  };
  for (const [name, value] of Object.entries(limits)) {
    assert.match(GUIDE, new RegExp(`^\\|.*\\b${value.toLocaleString("en")}\\b.*\`${name}\``, "m"));
  }
});
