// `doors`: messages accepted durably per second through each way in, on one whole installation, beside Postfix taking the
// same mail; and what `enqueue` costs the site's own checkout. Nothing is delivered meanwhile on either side: Postlane's
// lanes are paused, and Postfix puts what it has accepted on hold, which spares it its queue manager. What it accepts
// while it also delivers, as it does in service, is measured beside it. Each client is a process or a set of connections of
// its own on the same two cores.

import pg from "pg";
import { embeddedConfig } from "../src/postgres/database.ts";
import { findEmbedded } from "../src/postgres/embedded.ts";
import { postfixLack, startPostfix } from "../test/rig/postfix.ts";
import { inScope, type Scope } from "../test/rig/scope.ts";
import { freePort, startSmtpSink } from "../test/rig/smtp-sink.ts";
import { peerFigure, type Bar, type BenchOptions, type BenchReport, type PeerResult } from "./bench-result.ts";
import { emailOf, httpLoad, perSecondOf, sqlLoad } from "./door-clients.ts";
import { makeInstallation, type Installation } from "./installation.ts";
import { MESSAGE_BYTES } from "./newsletter.ts";
import { feedBySmtpSource, smtpProgramMissing } from "./peers/smtp-source.ts";
import { runCommand } from "./run-command.ts";
import { over } from "./road.ts";
import { childrenOf } from "./running-processes.ts";
import { makeSlowDisk } from "./slow-disk.ts";

const FULL = { smtp: 20_000, postfix: 5_000, seconds: 8 };
const QUICK = { smtp: 6_000, postfix: 1_500, seconds: 2 };
/** With 8 ms per fsync Postfix takes some 120 a second. */
const SLOW_POSTFIX = { full: 1_500, quick: 500 };

const SMTP_SESSIONS = 20;
const CONNECTIONS = 50;
const BATCH_CONNECTIONS = 4;
const BATCH = 100;

type Env = Readonly<Record<string, string>>;

export function run({ quick, slowDisk, progress }: BenchOptions): Promise<BenchReport> {
  const sizes = { ...(quick ? QUICK : FULL), ...(slowDisk ? { postfix: SLOW_POSTFIX[quick ? "quick" : "full"] } : {}) };
  return inScope(async (scope) => {
    const disk = slowDisk ? await makeSlowDisk(scope) : { env: {} };
    if ("missing" in disk) throw new Error(`the slow disk is compiled with ${disk.missing}, which is not installed`);
    progress(`Postfix takes ${sizes.postfix} messages, twice`);
    const postfix = await measurePostfix(sizes.postfix, disk.env, "on hold");
    const atWork = await measurePostfix(sizes.postfix, disk.env, "at work");
    const doors = await startDoors(scope, disk.env);
    progress(`SMTP: ${sizes.smtp} messages`);
    const smtp = await measureSmtp(doors.smtpPort, sizes.smtp);
    const figures = { smtp, ...(await measureOthers(doors, sizes.seconds, progress)) };
    await doors.stop();
    return report(figures, { postfix, atWork }, slowDisk);
  });
}

type Figures = Awaited<ReturnType<typeof measureOthers>> & { readonly smtp: PeerResult };

function report(
  figures: Figures,
  { postfix, atWork }: { readonly postfix: PeerResult; readonly atWork: PeerResult },
  slowDisk: boolean,
): BenchReport {
  const bars: readonly Bar[] = slowDisk
    ? [{ key: "smtp_vs_postfix", op: ">=", value: 10 }]
    : [
        { key: "smtp_vs_postfix", op: ">=", value: 4 },
        { key: "batch_vs_postfix", op: ">=", value: 10 },
        { key: "sql_vs_plain_insert", op: ">=", value: 0.7 },
      ];
  return {
    figures: {
      smtp_per_s: peerFigure(figures.smtp),
      postfix_accept_per_s: peerFigure(postfix),
      smtp_vs_postfix: "perS" in figures.smtp ? over(figures.smtp.perS, postfix) : null,
      postfix_at_work_per_s: peerFigure(atWork),
      smtp_vs_postfix_at_work: "perS" in figures.smtp ? over(figures.smtp.perS, atWork) : null,
      http_single_per_s: Math.round(figures.httpSingle),
      http_batch_per_s: Math.round(figures.httpBatch),
      sql_single_per_s: Math.round(figures.sqlSingle),
      sql_many_per_s: Math.round(figures.sqlMany),
      batch_vs_postfix: over(figures.httpBatch, postfix),
      batch_vs_postfix_at_work: over(figures.httpBatch, atWork),
      checkout_enqueue_per_s: Math.round(figures.checkoutEnqueue),
      checkout_insert_per_s: Math.round(figures.checkoutInsert),
      sql_vs_plain_insert: Math.round((figures.checkoutEnqueue / figures.checkoutInsert) * 100) / 100,
    },
    bars,
    notes: ["Every message has about 2 KB. An order is committed with `enqueue`, or with an INSERT of the same bytes."],
  };
}

export interface Doors {
  readonly http: string;
  readonly httpPort: number;
  readonly smtpPort: number;
  readonly frontPid: number;
  readonly key: string;
  readonly pool: pg.Pool;
  stop(): Promise<void>;
}

export async function startDoors(scope: Scope, env: Env): Promise<Doors> {
  const installation = makeInstallation(scope, "bench-doors");
  const [http, smtp] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  installation.configure("log_level: warn\n");
  const supervisor = await installation.up({ ...env, POSTLANE_LISTEN__HTTP: http, POSTLANE_LISTEN__SMTP: smtp });
  for (const lane of ["transactional", "bulk"]) await runCommand(installation, "lane", "pause", lane);
  const made = await runCommand(installation, "key", "create", "--name", "bench", "--json");
  const pool = await openPool(scope, installation);
  return {
    http: `http://${http}`,
    httpPort: Number(http.split(":")[1]),
    smtpPort: Number(smtp.split(":")[1]),
    frontPid: childrenOf(supervisor.pid).find(({ command }) => command.includes(" front "))!.pid,
    key: (JSON.parse(made) as { readonly token: string }).token,
    pool,
    async stop() {
      await pool.end();
      await supervisor.stop();
    },
  };
}

async function openPool(scope: Scope, { dataDir }: Installation): Promise<pg.Pool> {
  const embedded = await findEmbedded(dataDir);
  if (embedded === undefined) throw new Error("the embedded database does not run");
  const pool = new pg.Pool({ ...embeddedConfig(embedded), max: CONNECTIONS });
  pool.on("error", () => {});
  scope.after(() => (pool.ended ? undefined : pool.end()));
  await pool.query(
    "CREATE TABLE public.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text, paid real)",
  );
  await pool.query(
    "CREATE TABLE public.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email jsonb NOT NULL)",
  );
  return pool;
}

async function measureOthers(doors: Doors, seconds: number, progress: BenchOptions["progress"]) {
  const forSeconds = { seconds, connections: CONNECTIONS };
  progress(`HTTP single, ${CONNECTIONS} connections`);
  const httpSingle = await httpLoad(doors, { ...forSeconds, batch: 1 });
  progress(`HTTP batches of ${BATCH}`);
  const httpBatch = await httpLoad(doors, { seconds, connections: BATCH_CONNECTIONS, batch: BATCH });
  progress("SQL");
  const sqlSingle = await sqlLoad(doors.pool, { ...forSeconds, batch: 1 });
  const sqlMany = await sqlLoad(doors.pool, { seconds, connections: BATCH_CONNECTIONS, batch: BATCH });
  progress("the site's checkout");
  // Each twice and in turn: what grows meanwhile, and the checkpoints, meet both.
  const enqueue: number[] = [];
  const insert: number[] = [];
  for (let turn = 0; turn < 2; turn++) {
    enqueue.push(await checkout(doors.pool, forSeconds, "SELECT postlane.enqueue($1)"));
    insert.push(await checkout(doors.pool, forSeconds, "INSERT INTO public.outbox (email) VALUES ($1)"));
  }
  const [checkoutEnqueue, checkoutInsert] = [mean(enqueue), mean(insert)];
  return { httpSingle, httpBatch, sqlSingle, sqlMany, checkoutEnqueue, checkoutInsert };
}

const mean = (figures: readonly number[]): number => figures.reduce((sum, one) => sum + one, 0) / figures.length;

/** An order and its mail in one transaction, over and over. */
function checkout(
  pool: pg.Pool,
  { seconds, connections }: { readonly seconds: number; readonly connections: number },
  mailStatement: string,
): Promise<number> {
  return perSecondOf(seconds, connections, async () => {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      const order = {
        name: "order",
        text: "INSERT INTO public.orders (item, paid) VALUES ($1, $2)",
        values: ["book", 9],
      };
      await client.query(order);
      await client.query({
        name: mailStatement.slice(0, 20),
        text: mailStatement,
        values: [JSON.stringify(emailOf())],
      });
      await client.query("COMMIT");
    } finally {
      client.release();
    }
    return 1;
  });
}

async function measureSmtp(port: number, messages: number): Promise<PeerResult> {
  const missing = smtpProgramMissing();
  if (missing !== undefined) return { missing };
  const load = { messageBytes: MESSAGE_BYTES, connections: SMTP_SESSIONS };
  // The first thousand warm the code up, as they would in a process that runs for days.
  await feedBySmtpSource(port, { ...load, messages: 1000 });
  return { perS: await ratePerS(messages, () => feedBySmtpSource(port, { ...load, messages })) };
}

async function measurePostfix(messages: number, env: Env, how: "on hold" | "at work"): Promise<PeerResult> {
  const missing = postfixLack() ?? smtpProgramMissing();
  if (missing !== undefined) return { missing };
  return await inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const mainCf = how === "on hold" ? { smtpd_data_restrictions: "check_client_access static:HOLD" } : {};
    const postfix = await startPostfix(scope, { relayTo: sink, env, mainCf });
    const load = { messages, messageBytes: MESSAGE_BYTES, connections: SMTP_SESSIONS };
    return { perS: await ratePerS(messages, () => feedBySmtpSource(postfix.port, load)) };
  });
}

async function ratePerS(messages: number, work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (messages * 1000) / (performance.now() - startedAt);
}
