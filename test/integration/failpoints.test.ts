// What the rig preloads, tried itself. A process that touches the outside step by step dies between the two touches that a
// failpoint's name says, once, and its mark tells what stood between dot and answer. A query that is to be lost is lost
// before its effect or after it, and a journal that forgets says nothing of it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import type { FailpointMark, FailpointName, FailpointOrder } from "../../faults/rig/failpoints.ts";
import { giveOrder, ORDERS_VARIABLE, readMark } from "../../faults/rig/orders.ts";
import { preloaded, type PreloadName } from "../../faults/rig/preloaded.ts";
import type { Moment, QueryErrorMark, QueryErrorOrder } from "../../faults/rig/query-errors.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";

interface Seen {
  readonly signal: string | null;
  readonly touched: readonly string[];
  /** Kinds of the journal's lines; a torn one has a question mark; undefined: there is no file. */
  readonly journal: string | undefined;
  readonly received: string;
  readonly openDots: readonly string[] | undefined;
}

const CONTENT = "begin, and then the end\r\n.\r\n";
const DOT = "12 1";

const EXPECTED: Readonly<Partial<Record<FailpointName, Omit<Seen, "signal">>>> = {
  "before-claim": { touched: [], journal: undefined, received: "", openDots: [] },
  "after-claim": { touched: ["claimed"], journal: undefined, received: "", openDots: [] },
  "before-dot-line": { touched: ["claimed"], journal: "", received: "", openDots: [] },
  "mid-dot-line": { touched: ["claimed"], journal: "d?", received: "", openDots: [DOT] },
  "after-dot-line": { touched: ["claimed"], journal: "d", received: "", openDots: [DOT] },
  "mid-content": { touched: ["claimed"], journal: "d", received: "begin, and ", openDots: [DOT] },
  "after-dot": { touched: ["claimed"], journal: "d", received: CONTENT, openDots: [DOT] },
  "after-reply": { touched: ["claimed"], journal: "d", received: CONTENT, openDots: [DOT] },
  "before-answer-line": { touched: ["claimed"], journal: "d", received: CONTENT, openDots: [DOT] },
  "after-answer-line": { touched: ["claimed"], journal: "da", received: CONTENT, openDots: [] },
  "before-settle-commit": { touched: ["claimed"], journal: "da", received: CONTENT, openDots: [] },
  "after-settle-commit": { touched: ["claimed", "settled"], journal: "da", received: CONTENT, openDots: [] },
  "before-journal-removed": { touched: ["claimed", "settled"], journal: "da", received: CONTENT, openDots: [] },
};

test("a process dies at the failpoint that was ordered, and nowhere else", async (t) => {
  const database = await testDatabase(t);
  await database.pool.query("CREATE TABLE touched (what text)");
  for (const [point, expected] of Object.entries(EXPECTED) as [FailpointName, Omit<Seen, "signal">][]) {
    assert.deepEqual(await liveUntil(t, database, point, 1), { signal: "SIGKILL", ...expected }, point);
  }
});

test("an order is carried out at its time, for its process, and once", async (t) => {
  const database = await testDatabase(t);
  await database.pool.query("CREATE TABLE touched (what text)");
  const whole = { touched: ["claimed", "settled"], journal: undefined, received: CONTENT, signal: null };
  assert.deepEqual(await liveUntil(t, database, "after-dot", 2), { ...whole, openDots: undefined });
  assert.deepEqual(await liveUntil(t, database, "after-dot", 1, ["front"]), { ...whole, openDots: undefined });
  const ordersIn = tempFolder(t);
  order(ordersIn, { point: "after-dot", times: 1, processes: ["bulk"] });
  assert.equal((await live(t, database, ordersIn)).signal, "SIGKILL");
  assert.deepEqual(await live(t, database, ordersIn), { ...whole, openDots: [DOT] });
});

test("a query is lost before its effect or after it, with its connection", async (t) => {
  const database = await testDatabase(t);
  await database.pool.query("CREATE TABLE touched (what text)");
  const lost = async (moment: Moment, which: Pick<QueryErrorOrder, "index" | "statement">) => {
    const ordersIn = tempFolder(t);
    const given: QueryErrorOrder = { id: 1, processes: ["bulk"], moment, ...which };
    giveOrder(ordersIn, given);
    const { touched } = await live(t, database, ordersIn, ["query-errors-preload"]);
    return { touched, statement: readMark<QueryErrorMark>(ordersIn, 1)?.statement };
  };
  assert.deepEqual(await lost("before", { index: 1 }), { touched: [], statement: "queue_claim" });
  assert.deepEqual(await lost("after", { index: 1 }), { touched: ["claimed"], statement: "queue_claim" });
  assert.deepEqual(await lost("before", { statement: "COMMIT" }), { touched: ["claimed"], statement: "COMMIT" });
  assert.deepEqual(await lost("after", { index: 5 }), { touched: ["claimed", "settled"], statement: "COMMIT" });
  assert.deepEqual(await lost("after", { index: 6 }), { touched: ["claimed", "settled"], statement: undefined });
});

test("a journal that forgets keeps answers and no dots", async (t) => {
  const database = await testDatabase(t);
  await database.pool.query("CREATE TABLE touched (what text)");
  const ordersIn = tempFolder(t);
  order(ordersIn, { point: "after-answer-line", times: 1, processes: ["bulk"] });
  const { journal, received } = await live(t, database, ordersIn, ["forgetful-journal-preload", "failpoints-preload"]);
  assert.deepEqual({ journal, received }, { journal: "a", received: CONTENT });
});

async function liveUntil(
  t: TestContext,
  database: TestDatabase,
  point: FailpointName,
  times: number,
  processes: readonly string[] = ["bulk"],
): Promise<Seen> {
  const ordersIn = tempFolder(t);
  order(ordersIn, { point, times, processes });
  return await live(t, database, ordersIn);
}

function order(ordersIn: string, given: Omit<FailpointOrder, "id">): void {
  const whole: FailpointOrder = { id: 1, ...given };
  giveOrder(ordersIn, whole);
}

async function live(
  t: TestContext,
  database: TestDatabase,
  ordersIn: string,
  modules: readonly PreloadName[] = ["failpoints-preload"],
): Promise<Seen> {
  await database.pool.query("TRUNCATE touched");
  const folder = tempFolder(t);
  const server = await listen(t);
  const child = spawn(
    process.execPath,
    [CHILD, "dispatcher", "--lane", "bulk", folder, String(server.port), database.databaseUrl],
    {
      env: { ...process.env, ...preloaded(...modules), [ORDERS_VARIABLE]: ordersIn },
      stdio: "ignore",
    },
  );
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  const { rows } = await database.pool.query("SELECT what FROM touched");
  return {
    signal,
    touched: rows.map(({ what }) => what as string),
    journal: kindsIn(path.join(folder, "bulk-7.journal")),
    received: await server.received(),
    openDots: readMark<FailpointMark>(ordersIn, 1)?.openDots,
  };
}

const CHILD = path.join(import.meta.dirname, "failpoint-child.js");

function kindsIn(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, "latin1").split("\n").slice(1);
  const torn = lines.pop();
  return lines.map((line) => line[0]).join("") + (torn === "" ? "" : `${torn![0]}?`);
}

async function listen(t: TestContext): Promise<{ readonly port: number; received(): Promise<string> }> {
  let text = "";
  const closed: Promise<unknown>[] = [];
  const server = net.createServer((socket) => {
    closed.push(new Promise((resolve) => void socket.once("close", resolve)));
    socket.on("error", () => {}); // It was killed.
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.endsWith("\r\n.\r\n")) socket.write("250 ok\r\n");
    });
  });
  t.after(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as net.AddressInfo).port,
    async received() {
      await Promise.all(closed);
      return text;
    },
  };
}

function tempFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-failpoint-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
