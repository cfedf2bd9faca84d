// The table of docs/reference/outcomes.md, row by row, and what must hold for every reply there can be.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { AttemptResult } from "../mail/attempt.ts";
import type { Outcome } from "../mail/outcome.ts";
import { PHASES, type Phase, type Reply } from "../mail/reply.ts";
import { judgeAttempt } from "./judge-reply.ts";

const SMTP = { outletType: "smtp" } as const;
const COLUMNS: Readonly<Record<string, readonly Phase[]>> = {
  "before MAIL": ["connect", "banner", "ehlo", "starttls", "auth"],
  MAIL: ["mail"],
  RCPT: ["rcpt"],
  DATA: ["data"],
  "final dot": ["dot"],
};
const documentText = readFileSync(new URL("../../../docs/reference/outcomes.md", import.meta.url), "utf8");

interface TableRow {
  readonly reply: Reply;
  readonly cells: ReadonlyMap<string, string>;
}

function judge(phase: Phase, code: number, enhanced?: string): Outcome {
  const reply: Reply = { code, text: "said the server", ...(enhanced === undefined ? {} : { enhanced }) };
  return judgeAttempt({ kind: "replied", phase, reply, host: "relay.example" }, SMTP);
}

/** The word of a cell: `sent`, `bounced: recipient` … */
function printOutcome(outcome: Outcome): string {
  return "scope" in outcome ? `${outcome.kind}: ${outcome.scope}` : outcome.kind;
}

function readTable(): readonly TableRow[] {
  const lines = documentText.split("\n").filter((line) => line.startsWith("|"));
  const headAt = lines.findIndex((line) => /^\|\s*reply\s*\|/.test(line));
  const titles = readCells(lines[headAt] ?? "");
  const rows = lines
    .slice(headAt + 2)
    .map(readCells)
    .filter((cells) => /^`\d/.test(cells[0] ?? ""));
  return rows.map((cells) => readRow(titles, cells));
}

function readCells(line: string): readonly string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function readRow(titles: readonly string[], cells: readonly string[]): TableRow {
  const [, code, enhanced] = /^`(\d{3})(?: (\d\.\d+\.\d+))?`/.exec(cells[0] ?? "") ?? [];
  assert.ok(code !== undefined, `not a reply: ${cells[0]}`);
  const byTitle = Object.keys(COLUMNS).map((title) => [title, cells[titles.indexOf(title)] ?? ""] as const);
  const reply: Reply = { code: Number(code), text: "", ...(enhanced === undefined ? {} : { enhanced }) };
  return { reply, cells: new Map(byTitle.map(([title, cell]) => [title, cell.replaceAll("*", "")])) };
}

test("every cell of the documented table is what the code decides", () => {
  const rows = readTable();
  assert.ok(rows.length >= 50, `only ${rows.length} rows were found in outcomes.md`);
  for (const { reply, cells } of rows) {
    for (const [title, documented] of cells) {
      for (const phase of COLUMNS[title] ?? []) {
        const decided = printOutcome(judge(phase, reply.code, reply.enhanced));
        assert.equal(decided, documented, `${reply.code} ${reply.enhanced ?? ""} in ${phase}`);
      }
    }
  }
});

test("the table has a row for each class of reply and each subject of an enhanced code", () => {
  const rows = readTable().map(({ reply }) => [reply.code, reply.enhanced].filter(Boolean).join(" "));
  const wanted = ["250", "354", "421", "450", "451", "452", "500", "501", "503", "550", "552", "554"];
  for (const code of wanted) assert.ok(rows.includes(code), `${code} is missing`);
  for (const digit of [4, 5]) {
    for (let subject = 0; subject <= 7; subject += 1) {
      const isThere = rows.some((row) => row.slice(4).startsWith(`${digit}.${subject}.`));
      assert.ok(isThere, `${digit}.${subject}.z is missing`);
    }
  }
});

test("the table's columns name every phase", () => {
  assert.deepEqual(Object.values(COLUMNS).flat(), [...PHASES]);
  for (const phase of PHASES) assert.ok(documentText.includes(phase), `${phase} is not in outcomes.md`);
});

test("whatever the reply: only 5yz of MAIL or later bounces, only recipient or message; only 2yz to the dot is sent", () => {
  const enhancedTails = [0, 1, 2, 3, 4, 5, 6, 7, 9].flatMap((subject) =>
    [0, 1, 3, 4, 7, 8].map((detail) => `${subject}.${detail}`),
  );
  for (const phase of PHASES) {
    for (let code = 200; code <= 599; code += 1) {
      const digit = Math.trunc(code / 100);
      for (const tail of [undefined, ...enhancedTails]) {
        const outcome = judge(phase, code, tail === undefined ? undefined : `${digit}.${tail}`);
        const where = `${code} ${tail ?? ""} in ${phase}: ${printOutcome(outcome)}`;
        assert.equal(outcome.kind === "sent", phase === "dot" && digit === 2, where);
        assert.equal(outcome.kind === "unknown", phase === "dot" && digit === 3, where);
        assert.notEqual(outcome.kind, "untried", where);
        if (outcome.kind !== "bounced") continue;
        assert.equal(digit, 5, where);
        assert.ok(["mail", "rcpt", "data", "dot"].includes(phase), where);
        assert.ok(outcome.scope === "recipient" || outcome.scope === "message", where);
      }
    }
  }
});

test("421 and 503 are a connection's end, never a bounce, whatever else they say", () => {
  for (const phase of PHASES) {
    for (const [code, enhanced] of [
      [421, "4.2.1"],
      [421, undefined],
      [503, "5.1.1"],
      [503, undefined],
    ] as const) {
      assert.equal(printOutcome(judge(phase, code, enhanced)), "deferred: outlet", `${code} in ${phase}`);
    }
  }
});

test("an enhanced code that contradicts its reply is not believed", () => {
  assert.equal(printOutcome(judge("rcpt", 450, "5.3.0")), "deferred: recipient");
  assert.equal(printOutcome(judge("rcpt", 550, "4.3.0")), "bounced: recipient");
});

test("without a reply, the final dot divides what may be repeated from what is unknown", () => {
  for (const phase of PHASES) {
    for (const code of ["ECONNREFUSED", "timeout", "tls", "connection_lost", "bad_reply", "no_auth_over_plaintext"]) {
      const failed = { kind: "failed", phase, code, detail: "how it went", host: "relay.example" } as const;
      assert.equal(printOutcome(judgeAttempt({ ...failed, isPastDot: false }, SMTP)), "deferred: outlet");
      assert.equal(printOutcome(judgeAttempt({ ...failed, isPastDot: true }, SMTP)), "unknown: outlet");
    }
  }
});

test("what the outlet cannot carry bounces for itself alone; what was not started was not tried", () => {
  const reply: Reply = { code: 552, enhanced: "5.3.4", text: "larger than the relay takes" };
  const refused: AttemptResult = { kind: "refused_here", reply, host: "relay.example" };
  assert.equal(printOutcome(judgeAttempt(refused, SMTP)), "bounced: message");
  assert.equal(printOutcome(judgeAttempt({ kind: "not_started", reason: "draining" }, SMTP)), "untried");
});

test("the reason tells people who said what, and when", () => {
  const outcome = judge("rcpt", 550, "5.1.1");
  assert.ok(outcome.kind === "bounced");
  assert.equal(outcome.reason, "relay.example answered rcpt with 550 5.1.1 said the server");
});
