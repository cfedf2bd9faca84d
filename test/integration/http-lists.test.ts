// Lists over HTTP: a file is imported whole or not at all, whatever its sender does, and nothing of it stays on the disk; and
// what is told of lists.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { until } from "../rig/lane-mail.ts";
import { assertProblem, startHttp, type Answer, type HttpRig } from "./http-rig.ts";

const CSV = { "content-type": "text/csv" };

test("a list is imported, told, and imported again without harm; what was rejected is said with its line", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const body =
    "email,First Name,amount\nann@example.com,Ann,1.5\nno address,Bob,2\nann@example.com,Ann,3\ncy@example.com,Cy,x\n";
  const send = () => importCsv(rig, key, "members", body, "?types=amount:number");
  const first = await send();
  assert.equal(first.status, 200, JSON.stringify(first.body));
  const { rejected_rows, ...counts } = first.body;
  assert.deepEqual(counts, { object: "list_import", list: "members", rows: 4, accepted: 1, doubled: 1, rejected: 2 });
  assert.deepEqual(
    rejected_rows.map(({ line, reason }: { line: number; reason: string }) => `${line}: ${reason}`),
    ["3: no @", '5: amount: "x" is not a number: write digits, with a point before decimals'],
  );
  const again = (await send()).body;
  assert.deepEqual([again.rows, again.accepted, again.doubled, again.rejected], [4, 0, 2, 2]);
  const told = (await rig.ask("GET", "/lists/members", { key })).body;
  assert.deepEqual([told.object, told.name, told.recipients], ["recipient_list", "members", 1]);
  assert.deepEqual(told.columns[2], { name: "amount", original: "amount", type: "number", is_address: false });
  assert.deepEqual(leftUploads(rig), []);
});

test("lists are listed by name, in pages", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  for (const name of ["b", "a", "c"]) await importCsv(rig, key, name, "email\nann@example.com\n");
  const reader = await rig.key({ scope: "read" });
  const first = (await rig.ask("GET", "/lists?limit=2", { key: reader })).body;
  assert.deepEqual([first.object, first.has_more, first.data.map(nameOf)], ["list", true, ["a", "b"]]);
  const last = (await rig.ask("GET", "/lists?limit=2&after=b", { key: reader })).body;
  assert.deepEqual([last.has_more, last.data.map(nameOf)], [false, ["c"]]);
  assertProblem(await rig.ask("GET", "/lists?after=%00", { key }), { status: 400, code: "bad_parameter" });
  for (const unknown of ["d", "%00", "x".repeat(90)]) {
    assertProblem(await rig.ask("GET", `/lists/${unknown}`, { key }), { status: 404, code: "list_not_found" });
  }
  const forbidden = { status: 403, code: "scope_not_allowed" };
  assertProblem(await importCsv(rig, reader, "d", "email\nann@example.com\n"), forbidden);
});

test("bodies that are no list are refused, and nothing is made of them", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const refused = (body: string) => importCsv(rig, key, "members", body);
  for (const body of [
    "",
    "\n\n",
    "name,town\nAnn,Rome\n",
    "email\rann@example.com\r",
    "x".repeat(300_000),
    "\0\0\0\n",
  ]) {
    assertProblem(await refused(body), { status: 422, code: "list_refused" });
  }
  const json = await rig.ask("POST", "/lists/members/imports", { key, body: [{ email: "ann@example.com" }] });
  assertProblem(json, { status: 415, code: "not_csv" });
  const latin = { "content-type": "text/csv; charset=iso-8859-1" };
  const other = await rig.ask("POST", "/lists/members/imports", { key, body: "email\n", headers: latin });
  assertProblem(other, { status: 415, code: "not_csv" });
  assertProblem(await rig.ask("POST", "/lists/members/imports", { key }), { status: 422, code: "list_refused" });
  const bad = { status: 400, code: "bad_parameter" };
  for (const types of ["amount", "amount:money", "amount:number:x", ":number", "a:number,,"]) {
    assertProblem(await importCsv(rig, key, "members", "email,amount\n", `?types=${types}`), bad);
  }
  assertProblem(await importCsv(rig, key, "no%20name", "email\n"), bad);
  const unknown = await importCsv(rig, key, "members", "email,amount\na@example.com,1\n", "?types=sum:number");
  assertProblem(unknown, { status: 422, code: "list_refused" });
  assert.match(unknown.body.detail, /there is no column "sum"/);
  assert.deepEqual((await rig.ask("GET", "/lists", { key })).body.data, []);
  assert.deepEqual(leftUploads(rig), []);
});

test("a huge line costs itself, and not the list", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const body = `email,note\nann@example.com,a\nbob@example.com,"${"x".repeat(5_000_000)}\ncy@example.com,c\n`;
  const { body: answer } = await importCsv(rig, key, "members", body);
  assert.deepEqual([answer.rows, answer.accepted, answer.rejected], [3, 2, 1]);
  assert.ok(answer.rejected_rows[0].raw.length <= 500);
});

test("50,000 rows come in a stream: memory stays flat, and of what is rejected only the first rows are in the answer", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const send = (list: string, rows: number) => streamCsv(rig, key, list, bigList(rows));
  await send("warm", 5_000);
  const before = process.memoryUsage().rss;
  let most = before;
  const looking = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
  const answer = await send("big", ROWS);
  clearInterval(looking);
  assert.deepEqual([answer.body.rows, answer.body.accepted, answer.body.rejected], [ROWS, ROWS - 50, 50]);
  assert.equal(answer.body.rejected_rows.length, 20);
  const grownMb = (most - before) / 1e6;
  t.diagnostic(`memory of client and server grew by ${Math.round(grownMb)} MB, of a list of ${LIST_MB} MB`);
  assert.ok(grownMb < 100, `${grownMb} MB`);
  assert.deepEqual(leftUploads(rig), []);
});

test("a client that is gone in the middle of its list has imported nothing of it, and may send it again", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const { hostname, port } = new URL(rig.url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.write(
    `POST /lists/members/imports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: text/csv\r\n` +
      `Content-Length: 1000000\r\n\r\n`,
  );
  for (const chunk of bigList(2_000)) socket.write(chunk);
  await until("its file is there", () => leftUploads(rig).length === 1);
  socket.destroy();
  await until("its file is gone", () => leftUploads(rig).length === 0);
  assert.deepEqual((await rig.ask("GET", "/lists", { key })).body.data, []);
  const again = await streamCsv(rig, key, "members", bigList(2_000));
  assert.deepEqual([again.status, again.body.accepted], [200, 1_998]);
});

test("a client that does not wait for the answer has its list imported all the same", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const leaving = new AbortController();
  const sent = streamCsv(rig, key, "members", bigList(ROWS), leaving.signal);
  await until("some are in", async () => (await recipientsOf(rig)) > 0);
  leaving.abort();
  await assert.rejects(sent);
  await until("all are in", async () => (await recipientsOf(rig)) === ROWS - 50);
  await until("its file is gone", () => leftUploads(rig).length === 0);
  const again = await streamCsv(rig, key, "members", bigList(ROWS));
  assert.deepEqual([again.body.accepted, again.body.doubled], [0, ROWS - 50]);
});

test("two lists are imported at once, a third is told to come again, and its connection is of use to nobody", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const { hostname, port } = new URL(rig.url);
  const slow = ["a", "b"].map((list) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.write(
      `POST /lists/${list}/imports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: text/csv\r\n` +
        `Content-Length: 100\r\n\r\nemail\n`,
    );
    return socket;
  });
  await until("both are being read", () => leftUploads(rig).length === 2);
  const third = await importCsv(rig, key, "c", "email\nann@example.com\n");
  assertProblem(third, { status: 503, code: "busy" });
  assert.equal(third.headers.get("connection"), "close");
  for (const socket of slow) {
    socket.destroy();
    await once(socket, "close");
  }
  await until("there is room", async () => (await importCsv(rig, key, "c", "email\nann@example.com\n")).status === 200);
});

const ROWS = 50_000;
const NOTE = "of a recipient there may be more to say ".repeat(10);
const ROW = (n: number) => `${n % 1000 === 999 ? `no address ${n}` : `user${n}@d${n % 500}.example`},Name ${n},${NOTE}`;
const LIST_MB = Math.round((ROWS * ROW(ROWS).length) / 1e6);

/** Every thousandth cannot be mailed. */
function* bigList(rows: number): Generator<Uint8Array> {
  yield Buffer.from("email,first_name,note\n");
  for (let from = 0; from < rows; from += 500) {
    yield Buffer.from(Array.from({ length: 500 }, (_, n) => `${ROW(from + n)}\n`).join(""));
  }
}

function importCsv(rig: HttpRig, key: string, list: string, body: string, query = ""): Promise<Answer> {
  return rig.ask("POST", `/lists/${list}/imports${query}`, { key, body, headers: CSV });
}

async function streamCsv(
  rig: HttpRig,
  key: string,
  list: string,
  chunks: Generator<Uint8Array>,
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(`${rig.url}/lists/${list}/imports`, {
    method: "POST",
    headers: { ...CSV, authorization: `Bearer ${key}` },
    body: ReadableStream.from(chunks),
    duplex: "half",
    ...(signal === undefined ? {} : { signal }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

function leftUploads({ dataDir }: HttpRig): readonly string[] {
  return readdirSync(path.join(dataDir, "postlane-data/uploads"));
}

async function recipientsOf({ pool }: HttpRig): Promise<number> {
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.recipient");
  return rows[0].n;
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}
