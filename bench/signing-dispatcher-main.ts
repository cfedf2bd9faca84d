// The dispatcher's process as `postlane dispatcher` runs it, with one RSA key for every domain, which it finds beside its
// configuration as `dkim.pem`. Arguments as those of the command.

import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { loadConfig } from "../src/platform/config.ts";
import { runDispatcher } from "../src/processes/dispatcher-process.ts";

const { values } = parseArgs({
  allowPositionals: true,
  options: { lane: { type: "string", default: "" }, config: { type: "string", default: "" } },
});
const privateKey = createPrivateKey(readFileSync(path.join(path.dirname(values.config), "dkim.pem")));
const config = loadConfig({ cwd: process.cwd(), file: values.config, env: process.env });
const exitCode = await runDispatcher(config, values.lane, {
  keysFor: (domain) => [{ domain, selector: "bench", algorithm: "rsa", privateKey }],
});
process.exit(exitCode);
