// Keys at two running fronts, as an installation starts them: made, rotated and revoked from the command line while mail
// comes in over HTTP, without a restart.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { findFront } from "../../src/doors/http/front-file.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { endWithTest, jsonOf, lineOf, runCommand, startSupervised, type CommandPlace } from "./cli-command.ts";

/** A revoked key is refused within a second; the rest is the machine's. */
const REFUSED_MS_MAX = 3000;

test("a key that is made is admitted, one that follows it is the same sender, and both are refused once revoked", async (t) => {
  const place = await testDatabase(t);
  const front = await startFront(t, place);
  const made = await jsonOf<{ token: string }>(place, [
    "key",
    "create",
    "--name",
    "shop",
    "--from-domain",
    "shop.example",
  ]);
  const first = await front.submit(made.token, { from: "a@shop.example" }, "order-4711");
  assert.equal(first.status, 200, first.text);
  assert.equal((await front.submit(made.token, { from: "a@other.example" })).status, 403);

  const next = await jsonOf<{ token: string }>(place, ["key", "rotate", "1"]);
  const repeated = await front.submit(next.token, { from: "a@shop.example" }, "order-4711");
  assert.equal(repeated.text, first.text, "what was submitted with the old key is known by its idempotency key");

  for (const [id, token] of [
    ["1", made.token],
    ["2", next.token],
  ] as const) {
    const refusal = lineOf(front.process, /key\.refused/, "stderr");
    assert.equal((await runCommand(place, ["key", "revoke", id])).exitCode, 0);
    await until("it is refused", async () => (await front.submit(token, {})).status === 401, REFUSED_MS_MAX);
    const line = await refusal;
    assert.match(line, /"reason":"revoked"/);
    assert.ok(!line.includes(token.slice(-43)), line);
  }
});

test("two fronts keep a key's rate together", async (t) => {
  const place = await testDatabase(t);
  const other = { ...place, dataDir: path.join(place.dataDir, "other") };
  mkdirSync(other.dataDir);
  const [one, two] = [await startFront(t, place), await startFront(t, other)];
  const { token } = await jsonOf<{ token: string }>(place, ["key", "create", "--name", "shop", "--rate", "2/min"]);
  assert.equal((await one.submit(token, {})).status, 200);
  const limited = await two.submit(token, {});
  assert.equal(limited.status, 429, limited.text);
  assert.ok(limited.retryAfterS >= 20 && limited.retryAfterS <= 30, `${limited.retryAfterS} s`);
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfterS: number;
}

interface Front {
  readonly process: ChildProcess;
  submit(token: string, email: object, idempotencyKey?: string): Promise<Answer>;
}

async function startFront(t: TestContext, place: CommandPlace): Promise<Front> {
  const process = startSupervised(place, ["front"]);
  endWithTest(t, process);
  await once(process, "message");
  const { http } = await until("it listens", () => findFront(place.dataDir));
  return {
    process,
    async submit(token, email, idempotencyKey) {
      const response = await fetch(`http://${http}/emails`, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${token}`,
          "Content-Type": "application/json",
          ...(idempotencyKey === undefined ? {} : { "Idempotency-Key": idempotencyKey }),
        },
        body: JSON.stringify({
          from: "a@shop.example",
          to: "ann@example.com",
          subject: "Hello",
          text: "Hello",
          ...email,
        }),
      });
      const retryAfterS = Number(response.headers.get("retry-after"));
      return { status: response.status, text: await response.text(), retryAfterS };
    },
  };
}
