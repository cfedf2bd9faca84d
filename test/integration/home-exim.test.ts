// Exim as a relay, measured by the command that is shipped for it: its queue arrives as readings, the mail is delivered,
// and what it only keeps trying shows as its plug. It tells nothing else, so `sent` is the last word there.

import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import type { RelayReading } from "../../src/mail/reading.ts";
import { needsExim, startExim, type Exim } from "../rig/exim.ts";
import { booksOf, enqueueMany, until, watchBooks } from "../rig/lane-mail.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { assertArrivedOnce, endingInReverse, startProgram } from "./home-rig.ts";

const MAIN = path.resolve(import.meta.dirname, "../../src/doors/cli/main.js");
const MAILS = 30;
/** Of one connection Exim only spools the eleventh and those after it: they would wait for its next queue run. */
const PER_CONNECTION = 10;

test("mail goes out through Exim, governed by its own gauge", { timeout: 200_000 }, async (t) => {
  if (!(await needsExim(t))) return;
  const scope = endingInReverse(t);
  const sink = await startScriptedSink(scope);
  const dead = await startScriptedSink(scope);
  await dead.stop();
  const at = ({ port }: { readonly port: number }) => ({ host: "127.0.0.1", port });
  const exim = await startExim(scope, { routes: { "live.test": at(sink), "dead.test": at(dead) } });
  const { pool, ask } = await startProgram(scope, {
    lanes: { transactional: { outlets: ["exim"] }, bulk: { outlets: ["exim"] } },
    outlets: {
      exim: {
        type: "smtp",
        hosts: [`${exim.host}:${exim.port}`],
        messages_per_connection: PER_CONNECTION,
        gauge: gaugeOf(exim),
      },
    },
  });
  const books = watchBooks(pool);
  const live = Array.from({ length: MAILS }, (_, n) => `user${n}@live.test`);
  await enqueueMany(
    pool,
    [...live, "stuck0@dead.test", "stuck1@dead.test"].map((to) => ({ lane: "bulk", to })),
  );
  await sink.waitFor(() => sink.accepted.length === MAILS);
  assertArrivedOnce(live, sink);

  const reading = await until("the plug shows", async () => {
    const { rows } = await pool.query<{ readonly body: RelayReading }>("SELECT body FROM postlane.reading");
    return rows[0]?.body.deferred === 2 && rows[0].body.queue === 0 && rows[0].body;
  });
  assert.deepEqual([reading.queue_source, reading.problems], ["command", []]);
  await until("the books say so", async () => (await booksOf(pool))["sent"] === MAILS + 2);
  const shape = await ask<{ readonly relays: readonly unknown[] }>("queue", "shape");
  assert.match(JSON.stringify(shape), /dead\.test/);
  await books.stop();
});

/** The command of the guide, by the program under test. */
function gaugeOf({ program, spool }: Exim) {
  const command = [process.execPath, MAIN, "gauge", "exim", "--exim", program, "--spool", spool];
  return { type: "command", command, spool };
}
