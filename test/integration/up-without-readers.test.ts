// Whoever reads what `postlane up` prints may go away: a terminal is closed, a pipe ends. Mail goes on, a dispatcher that dies
// is started again, and the end is in order.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { makeInstallation } from "../../bench/installation.ts";
import { sendSignal } from "../../bench/running-processes.ts";
import { findEmbedded } from "../../src/postgres/embedded.ts";
import { until } from "../rig/lane-mail.ts";
import { inScope } from "../rig/scope.ts";

test("postlane up outlives its readers, and still ends in order", async () => {
  await inScope(async (scope) => {
    const installation = makeInstallation(scope, "unread");
    installation.configure(`from: "News <news@news.example>"\n`);
    const { file, args } = installation.command("up");
    const up = spawn(file, args, { env: installation.env, stdio: ["ignore", "pipe", "pipe"] });
    scope.after(() => void up.kill("SIGKILL"));
    const ended = once(up, "exit");
    let printed = "";
    up.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
    await until("bulk is served", () => printed.includes("dispatcher bulk: ready"), 30_000);
    up.stdout.destroy();
    up.stderr.destroy();

    const [killed] = installation.dispatchersOf("bulk");
    sendSignal(killed!.pid, "SIGKILL");
    const isServedAnew = () => installation.dispatchersOf("bulk").some(({ pid }) => pid !== killed!.pid);
    await until("another one serves it", isServedAnew, 10_000);
    assert.equal(up.exitCode, null);

    up.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
    assert.equal(await findEmbedded(installation.dataDir), undefined);
  });
});
