import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../platform/clock.ts";
import { openWitnessBook } from "./witness-file.ts";
import { openWitnessSession, RUNS_KEPT_MAX, type WitnessBook } from "./witness-book.ts";
import { parseTesterLine, parseWitnessLine, printTesterLine, printWitnessLine } from "./witness-line.ts";

const RUN = "ab".repeat(16);

function bookOf(): WitnessBook & { kept: number } {
  const book = { token: "secret", clock: systemClock, runs: new Map(), kept: 0, keep: async () => void book.kept++ };
  return book;
}

async function talk(book: WitnessBook, lines: readonly string[]): Promise<readonly string[]> {
  const session = openWitnessSession(book);
  const answers: string[] = [];
  for (const line of lines) answers.push(printWitnessLine(await session.take(line)));
  return answers;
}

const HELLO = "hello 1 secret";
const begin = (place: string, run = RUN): string => `begin ${run} ${place} boot-1 %2F`;

test("a run is begun, told of, asked for, and forgotten", async () => {
  const book = bookOf();
  assert.deepEqual(await talk(book, [HELLO, begin("web%3A%2Fsrv"), "told 10 2 3", "told 9 3 3", "last web%3A%2Fsrv"]), [
    "ok",
    "ok",
    "ok",
    "ok",
    `run ${RUN} boot-1 %2F 10 3 3 0`,
  ]);
  assert.equal(book.kept, 3);
  assert.deepEqual(await talk(book, [HELLO, begin("web%3A%2Fsrv"), "end", "last web%3A%2Fsrv"]), [
    "ok",
    "ok",
    "ok",
    "none",
  ]);
});

for (const [what, lines, answer] of [
  ["another token", ["hello 1 guess"], "no token"],
  ["no token", ["hello 1 "], "no token"],
  ["another version", ["hello 2 secret"], "no version"],
  ["no hello", [begin("here")], "no order"],
  ["told of no run", [HELLO, "told 1 1 1"], "no order"],
  ["a word that is none", ["HELO example.com"], "no line"],
  ["an empty line", [""], "no line"],
  ["a run that is no run", [HELLO, begin("here", "../etc")], "no line"],
  ["a place with a bad escape", [HELLO, begin("%E0%A4")], "no line"],
  ["a place that is too long", [HELLO, begin("x".repeat(901))], "no line"],
  ["a count below nothing", [HELLO, begin("here"), "told -1 0 0"], "no line"],
  ["a count beyond all numbers", [HELLO, begin("here"), "told 9999999999999999 0 0"], "no line"],
  ["too many arguments", [HELLO, "last a b"], "no line"],
] as const) {
  test(`refused: ${what}`, async () => {
    assert.equal((await talk(bookOf(), lines)).at(-1), answer);
  });
}

test("a second run in the same place takes it, and the first can say no more of it", async () => {
  const book = bookOf();
  const first = openWitnessSession(book);
  for (const line of [HELLO, begin("here"), "told 5 5 5"]) await first.take(line);
  const second = "cd".repeat(16);
  await talk(book, [HELLO, begin("here", second)]);
  assert.deepEqual(await first.take("told 6 6 6"), { kind: "no", code: "order" });
  await first.take("end");
  assert.equal(book.runs.get("here")?.run, second);
});

test("so many runs are kept and no more, and the one that was just begun is among them", async () => {
  const book = bookOf();
  const places = Array.from({ length: RUNS_KEPT_MAX + 5 }, (_, index) => `place-${index}`);
  await talk(book, [HELLO, ...places.map((place) => begin(place))]);
  assert.equal(book.runs.size, RUNS_KEPT_MAX);
  assert.ok(book.runs.has(places.at(-1)!));
});

test("lines are read as they were printed", () => {
  const place = "web 1:/srv/übung 100%";
  const line = { kind: "begin", run: RUN, place, boot: "a-b", mount: "/" } as const;
  assert.deepEqual(parseTesterLine(printTesterLine(line)), line);
  const known = { run: RUN, boot: "x", mount: "/my disk", told: { log: 1, grown: 2, renamed: 3 }, seconds: 4 };
  assert.deepEqual(parseWitnessLine(printWitnessLine({ kind: "run", known })), { kind: "run", known });
  assert.equal(parseWitnessLine("run x y z 1 2 3 4"), undefined);
});

test("token and runs outlive the witness, and a file that is none of its is left alone", async (t) => {
  const file = path.join(folderOf(t), "witness.json");
  const book = openWitnessBook(file, { clock: systemClock });
  await talk(book, [`hello 1 ${book.token}`, begin("here"), "told 7 7 7", begin("there")]);
  await book.keep();
  const again = openWitnessBook(file, { clock: systemClock });
  assert.equal(again.token, book.token);
  assert.deepEqual(again.runs.get("here")?.told, { log: 7, grown: 7, renamed: 7 });
  writeFileSync(file, "my notes");
  assert.throws(() => openWitnessBook(file, { clock: systemClock }), /not the file of a witness/);
  assert.equal(readFileSync(file, "utf8"), "my notes");
});

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-witness-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}
