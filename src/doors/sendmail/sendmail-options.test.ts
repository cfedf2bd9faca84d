import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSendmailOptions, type SendmailOptions } from "./sendmail-options.ts";

const parse = (line: string): SendmailOptions => parseSendmailOptions(line === "" ? [] : line.split(" "));
const plain = { recipients: [], takesRecipientsFromHeaders: false, endsAtDot: true };

test("what programs give is understood", () => {
  const lines: Readonly<Record<string, object>> = {
    // PHP's default, and the same in one word
    "-t -i": { takesRecipientsFromHeaders: true, endsAtDot: false },
    "-ti": { takesRecipientsFromHeaders: true, endsAtDot: false },
    "-t -i -f shop@example.com": { takesRecipientsFromHeaders: true, endsAtDot: false, sender: "shop@example.com" },
    // cron
    "-i -FCronDaemon -B8BITMIME -oem root": { endsAtDot: false, fullName: "CronDaemon", recipients: ["root"] },
    // git send-email
    "-f me@example.com -i ann@example.com bob@example.com": {
      endsAtDot: false,
      sender: "me@example.com",
      recipients: ["ann@example.com", "bob@example.com"],
    },
    // mutt
    "-oem -oi -fme@example.com -N failure,delay -R hdrs -- ann@example.com -x": {
      endsAtDot: false,
      sender: "me@example.com",
      notify: "FAILURE,DELAY",
      ret: "HDRS",
      recipients: ["ann@example.com", "-x"],
    },
    "-f <> ann@example.com": { sender: "", recipients: ["ann@example.com"] },
    "-oeq -odb -em -v -bm -h 5 -V id4711 a@example.com": { envid: "id4711", recipients: ["a@example.com"] },
  };
  for (const [line, expected] of Object.entries(lines)) {
    assert.deepEqual(parse(line), { kind: "send", send: { ...plain, ...expected } }, line);
  }
});

test("other things than sending", () => {
  assert.deepEqual(parse("-bs"), { kind: "speak_smtp" });
  assert.deepEqual(parse("-bs -i"), { kind: "speak_smtp" });
  assert.deepEqual(parse("-q"), { kind: "flush" });
  assert.deepEqual(parse("--flush"), { kind: "flush" });
});

test("what is not done here is said, with what to do", () => {
  const lines: Readonly<Record<string, RegExp>> = {
    "--foo": /no option --foo/,
    "-y": /no option -y/,
    "-f": /-f needs a value/,
    "-bd": /postlane up/,
    "-bp": /postlane status/,
    "-bi": /sendmail\.json/,
    "-N sometimes": /-N is/,
    "-R half": /-R is/,
  };
  for (const [line, expected] of Object.entries(lines)) {
    const parsed = parse(line);
    assert.ok(parsed.kind === "misused", line);
    assert.match(parsed.problem, expected);
  }
});
