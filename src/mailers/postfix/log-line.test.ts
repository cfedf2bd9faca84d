// Lines that real instances wrote (Postfix 3.7), with what each must become.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LOG_LINE_CHARS_MAX, parseLogLine, timeOfLogLine } from "./log-line.ts";

const AT = "Nov 26 17:00:21";
const client = { name: "unknown", address: "127.0.0.1", port: 38864 };
const line = (program: string, text: string): string => `${AT} relay postfix-bulk/${program}[13030]: ${text}`;
const head = (program: string) => ({ timestamp: AT, instance: "postfix-bulk", program, pid: 13030 });

const CASES: readonly (readonly [program: string, text: string, expected: object])[] = [
  ["smtpd", "connect from unknown[127.0.0.1]:38864", { kind: "connect", client }],
  [
    "smtpd",
    "connect from ip6.test[2001:db8::1]",
    { kind: "connect", client: { name: "ip6.test", address: "2001:db8::1" } },
  ],
  ["smtpd", "connect from unknown[unknown]", { kind: "connect", client: { name: "unknown", address: "unknown" } }],
  [
    "smtpd",
    "disconnect from unknown[127.0.0.1]:38864 helo=1 mail=1 rcpt=1 data=0/1 commands=3/4",
    { kind: "disconnect", client },
  ],
  [
    "smtpd",
    "lost connection after DATA (14 bytes) from unknown[127.0.0.1]:38864",
    { kind: "broken", cause: "lost connection", after: "DATA (14 bytes)", client },
  ],
  [
    "smtpd",
    "timeout after END-OF-MESSAGE from unknown[127.0.0.1]:38864",
    { kind: "broken", cause: "timeout", after: "END-OF-MESSAGE", client },
  ],
  [
    "smtpd",
    "too many errors after RCPT from unknown[127.0.0.1]:38864",
    { kind: "broken", cause: "too many errors", after: "RCPT", client },
  ],
  ["smtpd", "4jb2q91RN1zJrh9: client=unknown[127.0.0.1]:38864", { kind: "client", queueId: "4jb2q91RN1zJrh9", client }],
  [
    "smtpd",
    "879C9222920: client=unknown[127.0.0.1]:38864, sasl_method=PLAIN, sasl_username=ann",
    { kind: "client", queueId: "879C9222920", client },
  ],
  [
    "cleanup",
    "4jb2q91RN1zJrh9: message-id=<32e5.0003.0000@vm>",
    { kind: "message_id", queueId: "4jb2q91RN1zJrh9", messageId: "<32e5.0003.0000@vm>" },
  ],
  [
    "qmgr",
    "4jb2q91RN1zJrh9: from=<b+abc@returns.test>, size=358, nrcpt=1 (queue active)",
    { kind: "active", queueId: "4jb2q91RN1zJrh9", sender: "b+abc@returns.test", sizeBytes: 358 },
  ],
  [
    "qmgr",
    "4jb2q91dVGzJrhB: from=<>, size=2316, nrcpt=1 (queue active)",
    { kind: "active", queueId: "4jb2q91dVGzJrhB", sender: "", sizeBytes: 2316 },
  ],
  [
    "qmgr",
    '4jb2sP2CTwzJrgt: from=<"a>, size=1, nrcpt=1 (queue active)"@x.test>, size=157, nrcpt=3 (queue active)',
    {
      kind: "active",
      queueId: "4jb2sP2CTwzJrgt",
      sender: '"a>, size=1, nrcpt=1 (queue active)"@x.test',
      sizeBytes: 157,
    },
  ],
  ["qmgr", "4jb2q91RN1zJrh9: removed", { kind: "removed", queueId: "4jb2q91RN1zJrh9" }],
  [
    "qmgr",
    "4jb2q91h04zJrj5: from=<b+abc@returns.test>, status=expired, returned to sender",
    { kind: "expired", queueId: "4jb2q91h04zJrj5", sender: "b+abc@returns.test" },
  ],
  [
    "smtp",
    "4jb2q91RN1zJrh9: to=<u@ok.test>, relay=127.0.0.1[127.0.0.1]:12526, delay=0.02, delays=0.01/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
    delivery("4jb2q91RN1zJrh9", "u@ok.test", "127.0.0.1[127.0.0.1]:12526", 0.02, "2.0.0", "sent", "250 2.0.0 Ok"),
  ],
  [
    "smtp",
    "4jb2q91RN1zJrh9: to=<u@ok.test>, orig_to=<v@ok.test>, relay=mx.test[192.0.2.1]:25, conn_use=17, delay=1805, delays=1800/0.01/4/1, dsn=4.7.0, status=deferred (host mx.test[192.0.2.1] said: 450 4.7.0 Try later (in reply to RCPT TO command))",
    {
      ...delivery(
        "4jb2q91RN1zJrh9",
        "u@ok.test",
        "mx.test[192.0.2.1]:25",
        1805,
        "4.7.0",
        "deferred",
        "host mx.test[192.0.2.1] said: 450 4.7.0 Try later (in reply to RCPT TO command)",
      ),
      originalRecipient: "v@ok.test",
    },
  ],
  [
    "smtp",
    "4jb2q91h04zJrj5: to=<u@dead.test>, relay=none, delay=0, delays=0/0/0/0, dsn=4.4.1, status=deferred (connect to 127.0.0.1[127.0.0.1]:12529: Connection refused)",
    delivery(
      "4jb2q91h04zJrj5",
      "u@dead.test",
      "none",
      0,
      "4.4.1",
      "deferred",
      "connect to 127.0.0.1[127.0.0.1]:12529: Connection refused",
    ),
  ],
  [
    "smtp",
    '4jb2sP2CTwzJrgt: to=<"u>, relay=none, delay=1, dsn=2.0.0, status=sent (x)"@perm.test>, relay=127.0.0.1[127.0.0.1]:12527, delay=0.04, delays=0.01/0.03/0/0.01, dsn=5.3.0, status=bounced (host 127.0.0.1[127.0.0.1] said: 500 5.3.0 Error: command failed (in reply to RCPT TO command))',
    delivery(
      "4jb2sP2CTwzJrgt",
      '"u>, relay=none, delay=1, dsn=2.0.0, status=sent (x)"@perm.test',
      "127.0.0.1[127.0.0.1]:12527",
      0.04,
      "5.3.0",
      "bounced",
      "host 127.0.0.1[127.0.0.1] said: 500 5.3.0 Error: command failed (in reply to RCPT TO command)",
    ),
  ],
  [
    "smtp",
    '4jb2sP2CTwzJrgt: to=<"q\\"r"@ok.test>, relay=127.0.0.1[127.0.0.1]:12526, delay=0.04, delays=0.01/0.02/0.01/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)',
    delivery("4jb2sP2CTwzJrgt", '"q\\"r"@ok.test', "127.0.0.1[127.0.0.1]:12526", 0.04, "2.0.0", "sent", "250 2.0.0 Ok"),
  ],
  [
    "discard",
    "4jb2q91kqfzJrj6: to=<u@disc.test>, relay=none, delay=0.01, delays=0/0.01/0/0, dsn=2.0.0, status=sent (disc.test)",
    delivery("4jb2q91kqfzJrj6", "u@disc.test", "none", 0.01, "2.0.0", "sent", "disc.test"),
  ],
  [
    "virtual",
    "4jb2q91dVGzJrhB: to=<b+abc@returns.test>, relay=virtual, delay=0.02, delays=0/0.01/0/0, dsn=2.0.0, status=sent (delivered to maildir)",
    delivery("4jb2q91dVGzJrhB", "b+abc@returns.test", "virtual", 0.02, "2.0.0", "sent", "delivered to maildir"),
  ],
  [
    "smtp",
    "4jb2q91RN1zJrh9: to=<u@ok.test>, relay=none, delay=0, delays=0/0/0/0, dsn=5.0.0, status=SOFTBOUNCE (said no)",
    delivery("4jb2q91RN1zJrh9", "u@ok.test", "none", 0, "5.0.0", "deferred", "said no"),
  ],
  [
    "bounce",
    "4jb2q91V7CzJrj5: sender non-delivery notification: 4jb2q91dVGzJrhB",
    { kind: "notice", queueId: "4jb2q91V7CzJrj5", notice: "failed", noticeQueueId: "4jb2q91dVGzJrhB" },
  ],
  [
    "bounce",
    "4jb2q91V7CzJrj5: sender delay notification: 4jb2q91dVGzJrhB",
    { kind: "notice", queueId: "4jb2q91V7CzJrj5", notice: "delayed", noticeQueueId: "4jb2q91dVGzJrhB" },
  ],
  ["postfix-script", "starting the Postfix mail system", { kind: "started" }],
  ["master", "daemon started -- version 3.7.11, configuration /etc/postfix", { kind: "started" }],
  ["master", "reload -- version 3.7.11, configuration /etc/postfix", { kind: "reloaded" }],
  ["postfix-script", "stopping the Postfix mail system", { kind: "stopped" }],
  ["master", "terminating on signal 15", { kind: "stopped" }],
];

function delivery(
  queueId: string,
  recipient: string,
  relay: string,
  delayS: number,
  dsn: string,
  status: string,
  text: string,
): object {
  return { kind: "delivery", queueId, recipient, relay, delayS, dsn, status, text };
}

for (const [program, text, expected] of CASES) {
  test(`${program}: ${text.slice(0, 100)}`, () => {
    assert.deepEqual(parseLogLine(line(program, text)), { ...head(program), ...expected });
  });
}

test("RFC 3339 times and instances with a slash are read", () => {
  const read = parseLogLine(
    "2026-11-26T16:45:25.123456+00:00 host postfix/submission/smtpd[7]: connect from a[1.2.3.4]:5",
  );
  assert.deepEqual(read, {
    timestamp: "2026-11-26T16:45:25.123456+00:00",
    instance: "postfix/submission",
    program: "smtpd",
    pid: 7,
    kind: "connect",
    client: { name: "a", address: "1.2.3.4", port: 5 },
  });
});

const IRRELEVANT = [
  "",
  "connect from unknown[127.0.0.1]:1",
  line("smtp", "connect to 127.0.0.1[127.0.0.1]:12529: Connection refused"),
  line("smtpd", "NOQUEUE: reject: RCPT from unknown[127.0.0.1]:1: 454 4.7.1 <x@y>: Relay access denied"),
  line("postsuper", "Deleted: 1 message"),
  line("qmgr", "warning: private/smtp socket: malformed response"),
  line("smtp", "warning: to=<a@b.test>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (x)"),
  line("smtp", "4jb2q91RN1zJrh9: to=<u@ok.test>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=eaten (x)"),
  line("smtp", "4jb2q91RN1zJrh9: host mx[1.2.3.4] said: 450 to=<u@ok.test> (in reply to RCPT TO command)"),
];

test("what concerns nobody is undefined", () => {
  for (const one of IRRELEVANT) assert.equal(parseLogLine(one), undefined, one);
});

test("a long line is cut, and control characters become spaces", () => {
  const prefix = "4jb2q91RN1zJrh9: to=<u@ok.test>, relay=none, delay=0, delays=0/0/0/0, dsn=5.0.0, status=bounced (";
  const read = parseLogLine(line("smtp", `${prefix}no\u0000 \u001b[31m${"x".repeat(100_000)})`));
  assert.ok(read?.kind === "delivery");
  assert.ok(read.text.startsWith("no   [31mx") && read.text.length < LOG_LINE_CHARS_MAX);
});

test("a timestamp without a year is of the latest year that is not ahead", () => {
  const now = new Date(2027, 0, 1, 0, 0, 5).getTime();
  assert.equal(timeOfLogLine("Dec 31 23:59:59", now), new Date(2026, 11, 31, 23, 59, 59).getTime());
  assert.equal(timeOfLogLine("Jan  1 00:00:04", now), new Date(2027, 0, 1, 0, 0, 4).getTime());
  const lastSecond = new Date(2026, 11, 31, 23, 59, 59).getTime();
  assert.equal(timeOfLogLine("Jan  1 00:00:01", lastSecond), new Date(2027, 0, 1, 0, 0, 1).getTime());
  assert.equal(timeOfLogLine("2026-11-26T16:45:25.123456+00:00", now), Date.UTC(2026, 10, 26, 16, 45, 25, 123));
  assert.equal(timeOfLogLine("Foo 31 23:59:59", now), undefined);
});
