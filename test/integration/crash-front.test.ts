// The front is killed again and again while fifty clients submit by HTTP and by SMTP. What was answered with success is
// there, once; what was not answered is sent again, as it is, and is there once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createTransport } from "nodemailer";
import pg from "pg";
import { makeInstallation } from "../../bench/installation.ts";
import { runCommand } from "../../bench/run-command.ts";
import { processesOf, sendSignal } from "../../bench/running-processes.ts";
import { embeddedConfig } from "../../src/postgres/database.ts";
import { findEmbedded } from "../../src/postgres/embedded.ts";
import { freePort } from "../rig/smtp-sink.ts";

const CLIENTS = 50;
const SUBMISSIONS_EACH = 30;
const KILLS = 3;
/** Of all submissions; a front that stays away fails the test. */
const MS_MAX = 120_000;

test(
  "a front that is killed under fifty clients loses nothing and doubles nothing",
  { timeout: 180_000 },
  async (t) => {
    const installation = makeInstallation(t, "crash-front");
    const [http, smtp] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    installation.configure("log_level: error\n");
    const supervisor = await installation.up({ POSTLANE_LISTEN__HTTP: http, POSTLANE_LISTEN__SMTP: smtp });
    for (const lane of ["transactional", "bulk"]) await runCommand(installation, "lane", "pause", lane);
    const created = await runCommand(installation, "key", "create", "--name", "shop", "--json");
    const { token: key } = JSON.parse(created) as { readonly token: string };

    const endsAt = performance.now() + MS_MAX;
    let done = 0;
    let lostAnswers = 0;
    const untilAnswered = async (submit: () => Promise<boolean>): Promise<void> => {
      while (!(await submit().catch(orLost))) {
        lostAnswers++;
        assert.ok(performance.now() < endsAt, `${done} submissions were answered in ${MS_MAX} ms`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      done++;
    };
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      for (let n = 0; n < SUBMISSIONS_EACH; n++) {
        const name = `${client}-${n}`;
        await untilAnswered(() => (client % 2 === 0 ? byHttp(http, key, name) : bySmtp(smtp, name)));
      }
    });
    const kills = (async () => {
      for (let kill = 1; kill <= KILLS; kill++) {
        const isDue = (): boolean => done >= (kill * CLIENTS * SUBMISSIONS_EACH) / (KILLS + 1);
        while (!isDue()) await new Promise((resolve) => setTimeout(resolve, 5));
        const fronts = processesOf(installation.folder).filter(({ command }) => command.includes(" front "));
        for (const { pid } of fronts) sendSignal(pid, "SIGKILL");
      }
    })();
    await Promise.all([...clients, kills]);

    const embedded = await findEmbedded(installation.dataDir);
    const database = new pg.Client(embeddedConfig(embedded!));
    await database.connect();
    const { rows } = await database.query(
      "SELECT recipient, count(*)::integer AS n FROM postlane.message GROUP BY recipient HAVING count(*) <> 1",
    );
    const { rows: all } = await database.query("SELECT count(DISTINCT recipient)::integer AS n FROM postlane.message");
    const { rows: books } = await database.query("SELECT sum(n)::integer AS n FROM postlane.balance_sheet");
    await database.end();
    assert.deepEqual(rows, [], "there more than once");
    assert.equal(all[0].n, CLIENTS * SUBMISSIONS_EACH);
    assert.equal(books[0].n, CLIENTS * SUBMISSIONS_EACH);
    assert.ok(lostAnswers >= KILLS, `only ${lostAnswers} answers were lost: the kills met nothing`);
    t.diagnostic(`${done} submissions, ${KILLS} kills, ${lostAnswers} answers lost and asked for again`);
    await supervisor.stop();
  },
);

function orLost(error: unknown): false {
  if (error instanceof assert.AssertionError) throw error;
  return false;
}

const recipientOf = (name: string): string => `client-${name}@example.com`;

async function byHttp(http: string, key: string, name: string): Promise<boolean> {
  const response = await fetch(`http://${http}/emails`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "idempotency-key": name },
    body: JSON.stringify({ from: "shop@example.com", to: recipientOf(name), subject: name, text: "Hello" }),
  });
  await response.text();
  // 409: the first try's front is gone, and its transaction not yet. 503: the database is not there yet.
  assert.ok([200, 409, 503].includes(response.status), `${response.status}`);
  return response.status === 200;
}

async function bySmtp(smtp: string, name: string): Promise<boolean> {
  const [host, port] = smtp.split(":");
  const transport = createTransport({ host, port: Number(port), ignoreTLS: true });
  const { accepted } = await transport.sendMail({
    from: "shop@example.com",
    to: recipientOf(name),
    subject: name,
    text: "Hello",
    messageId: `<${name}@example.com>`,
    date: new Date(1_790_000_000_000),
  });
  return accepted.length === 1;
}
