import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageId } from "../mail/ids.ts";
import { returnPathOf, tokenOfReturnPath } from "../mail/return-token.ts";
import { createRelayLines, type LogReturn, type RelayLinesSettings } from "./relay-lines.ts";
import { createRelayMemory } from "./relay-memory.ts";

const DOMAIN = "returns.example";
const NOW_MS = new Date(2026, 10, 26, 12, 30).getTime();
const returnPath = returnPathOf({ messageId: 4711 as MessageId, attempt: 3 }, DOMAIN, () => new Uint8Array(32));
const tokenOf = (address: string) => tokenOfReturnPath(address, DOMAIN);

const at = (time: string, rest: string): string => `Nov 26 ${time} host postfix/${rest}`;
const active = (from: string, queueId = "AAAAAAA1"): string =>
  at("12:00:00", `qmgr[7]: ${queueId}: from=<${from}>, size=300, nrcpt=1 (queue active)`);
const delivery = (status: string, time = "12:00:01", queueId = "AAAAAAA1", to = "ann@shop.example"): string =>
  at(
    time,
    `smtp[9]: ${queueId}: to=<${to}>, relay=mx.shop.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=${status} (250 2.0.0 Ok)`,
  );

function readerOf(settings: Partial<RelayLinesSettings> = {}) {
  const memory = createRelayMemory(tokenOf);
  const lines = createRelayLines(
    { outlet: "news", instance: "postfix", means: "delivered", tokenOf, ...settings },
    memory,
  );
  return {
    memory,
    lines,
    readAll: (...texts: readonly string[]): readonly LogReturn[] =>
      texts.flatMap((text) => (lines.read(text, NOW_MS)?.body as LogReturn | undefined) ?? []),
  };
}

test("a delivery is told with the return path of its queue id", () => {
  const { readAll } = readerOf({ returnsDomain: DOMAIN });
  assert.deepEqual(readAll(active(returnPath), delivery("sent")), [
    {
      queue_id: "AAAAAAA1",
      return_path: returnPath,
      recipient: "ann@shop.example",
      status: "sent",
      dsn: "2.0.0",
      relay: "mx.shop.example[192.0.2.1]:25",
      reply: "250 2.0.0 Ok",
      at: new Date(2026, 10, 26, 12, 0, 1).toISOString(),
      means: "delivered",
    },
  ]);
});

const told: readonly (readonly [
  what: string,
  settings: Partial<RelayLinesSettings>,
  lines: readonly string[],
  count: number,
])[] = [
  ["a return path of ours", { returnsDomain: DOMAIN }, [active(returnPath), delivery("bounced")], 1],
  ["another sender, where ours are known", { returnsDomain: DOMAIN }, [active("ann@example.com"), delivery("sent")], 0],
  ["another sender, where ours are not", {}, [active("ann@example.com"), delivery("sent")], 1],
  ["a sender that was not seen", { returnsDomain: DOMAIN }, [delivery("sent")], 1],
  ["a failure notice", {}, [active(""), delivery("sent")], 0],
  [
    "a failure notice whose sender was not seen",
    { returnsDomain: DOMAIN },
    [delivery("sent", "12:00:01", "AAAAAAA1", "b+x@Returns.example")],
    0,
  ],
  ["the check of an address", {}, [delivery("deliverable")], 0],
  ["another instance", { instance: "postfix-bulk" }, [delivery("sent")], 0],
  ["a service of the instance", { instance: "postfix" }, [delivery("sent").replace("postfix/", "postfix/out/")], 1],
  ["no line of Postfix", {}, ["Nov 26 12:00:00 host sshd[1]: to=<a@b.example>, status=sent (x)", ""], 0],
];

for (const [what, settings, lines, count] of told) {
  test(`${what}: ${count} told`, () => assert.equal(readerOf(settings).readAll(...lines).length, count));
}

test("a message that stays deferred is told of once a minute, others at once", () => {
  const { readAll } = readerOf();
  const times = ["12:00:00", "12:00:30", "12:00:59", "12:01:00", "12:01:30", "12:02:01"];
  const mine = readAll(...times.map((time) => delivery("deferred", time)));
  assert.deepEqual(
    mine.map(({ at: told }) => told.slice(14, 19)),
    ["00:00", "01:00", "02:01"],
  );
  assert.equal(readAll(delivery("deferred", "12:02:02", "AAAAAAA2")).length, 1);
  assert.equal(readAll(delivery("sent", "12:02:02")).length, 1);
});

test("a lifetime that is over is told with the recipient of the deferrals before it, or not at all", () => {
  const { readAll } = readerOf({ returnsDomain: DOMAIN, means: "relayed" });
  const over = at("12:00:05", `qmgr[7]: AAAAAAA1: from=<${returnPath}>, status=expired, returned to sender`);
  assert.deepEqual(readAll(over), []);
  const [deferred, expired] = readAll(delivery("deferred"), over);
  assert.equal(deferred?.status, "deferred");
  assert.deepEqual(expired, {
    queue_id: "AAAAAAA1",
    return_path: returnPath,
    recipient: "ann@shop.example",
    status: "expired",
    at: new Date(2026, 10, 26, 12, 0, 5).toISOString(),
    means: "relayed",
  });
});

test("sessions are remembered by their port", () => {
  const { memory, readAll } = readerOf();
  readAll(
    at("12:00:00", "smtpd[8]: connect from localhost[127.0.0.1]:40000"),
    at("12:00:01", "smtpd[8]: AAAAAAA1: client=localhost[127.0.0.1]:40000"),
    at("12:00:02", "smtpd[8]: lost connection after DATA (14 bytes) from localhost[127.0.0.1]:40000"),
    at("12:00:02", "smtpd[8]: disconnect from localhost[127.0.0.1]:40000 ehlo=1 mail=1 rcpt=1 data=0/1 commands=3/4"),
  );
  const [session] = memory.sessionsOf(40_000);
  assert.deepEqual([session?.wasCut, session?.queueIds, session?.isSameRun], [true, ["AAAAAAA1"], true]);
  assert.equal(session?.disconnectedAtMs, new Date(2026, 10, 26, 12, 0, 2).getTime());
});

test("a clock that is set back is a gap: what came before and after cannot be told apart", () => {
  const { memory, readAll } = readerOf();
  readAll(at("12:00:00", "smtpd[8]: connect from localhost[127.0.0.1]:40000"));
  assert.equal(memory.sessionsOf(40_000)[0]?.isWithoutGap, true);
  readAll(active("x@y.example").replace("12:00:00", "11:00:01"));
  assert.equal(memory.sessionsOf(40_000)[0]?.isWithoutGap, false);
});

test("a line without a port or with a strange time is no session", () => {
  const { memory, readAll } = readerOf();
  readAll(at("12:00:00", "smtpd[8]: connect from localhost[127.0.0.1]"));
  readAll("9999-99-99T99:99:99Z host postfix/smtpd[8]: connect from localhost[127.0.0.1]:40000");
  assert.deepEqual(memory.sessionsOf(40_000), []);
});
