import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeEvidence, type EvidenceFacts, type SessionFacts } from "./judge-evidence.ts";

const ASKED_AT_MS = 10_000_000;
const cut: SessionFacts = {
  connectedAtMs: ASKED_AT_MS - 20_000,
  disconnectedAtMs: ASKED_AT_MS - 1000,
  wasCut: true,
  queueIds: ["4hAbc"],
  isWithoutGap: true,
  isSameRun: true,
};
/** Everything that shows that nothing was accepted. */
const none: EvidenceFacts = {
  askedAtMs: ASKED_AT_MS,
  clientPort: 40_000,
  sessions: [cut],
  files: { kind: "looked for", found: [] },
  isReadToEnd: true,
  nowMs: ASKED_AT_MS + 5000,
};
const finished = { queueId: "4hAbc", isFinished: true, isOurs: true } as const;
const found = (...files: Extract<EvidenceFacts["files"], { kind: "looked for" }>["found"]) => ({
  kind: "looked for" as const,
  found: files,
});

const accepted: readonly (readonly [what: string, facts: Partial<EvidenceFacts>, grounds: RegExp])[] = [
  ["a line of the queue manager", { activeQueueId: "4hAbc" }, /logged the return path as active \(4hAbc\)/],
  ["the line, and nothing else is known", { activeQueueId: "4hAbc", clientPort: null, sessions: [] }, /as active/],
  ["the line, before a gap", { activeQueueId: "4hAbc", sessions: [{ ...cut, isWithoutGap: false }] }, /as active/],
  ["a finished file", { files: found(finished) }, /queue file 4hAbc/],
  [
    "a finished file, the relay started anew",
    { files: found(finished), sessions: [{ ...cut, isSameRun: false }] },
    /queue file/,
  ],
  ["a finished file among others", { files: found({ ...finished, isOurs: false }, finished) }, /queue file/],
];

for (const [what, facts, grounds] of accepted) {
  test(`accepted: ${what}`, () => {
    const verdict = judgeEvidence({ ...none, ...facts });
    assert.ok(verdict.verdict === "accepted", verdict.verdict);
    assert.match(verdict.grounds, grounds);
    assert.equal(verdict.queueId, "4hAbc");
  });
}

const notAccepted: readonly (readonly [what: string, facts: Partial<EvidenceFacts>])[] = [
  ["cut, ended, no line, no file, no gap", {}],
  ["a file of another message of that session", { files: found({ ...finished, isOurs: false }) }],
  [
    "another user of the port before, who ended well",
    { sessions: [{ ...cut, connectedAtMs: 9_950_000, wasCut: false }, cut] },
  ],
  [
    "another user of the port long ago, of whom lines were missed",
    { sessions: [{ ...cut, connectedAtMs: 1_000_000, disconnectedAtMs: 2_000_000, isWithoutGap: false }, cut] },
  ],
  ["another user of the port came later", { sessions: [cut, { ...cut, connectedAtMs: ASKED_AT_MS + 4000 }] }],
];

for (const [what, facts] of notAccepted) {
  test(`not accepted: ${what}`, () => assert.equal(judgeEvidence({ ...none, ...facts }).verdict, "not_accepted"));
}

const { disconnectedAtMs: _, ...open } = cut;
const undecided: readonly (readonly [what: string, facts: Partial<EvidenceFacts>, why: RegExp])[] = [
  ["the port is not known", { clientPort: null }, /port .* not known/],
  ["no session of that port", { sessions: [] }, /no session/],
  ["only a session that came later", { sessions: [{ ...cut, connectedAtMs: ASKED_AT_MS + 4000 }] }, /no session/],
  ["the session is still open", { sessions: [open] }, /not ended yet/],
  ["one of two users of the port is still open", { sessions: [open, cut] }, /not ended yet/],
  ["it ended well", { sessions: [{ ...cut, wasCut: false }] }, /no session of that port was cut/],
  [
    "it was cut long before",
    { sessions: [{ ...cut, connectedAtMs: 8_000_000, disconnectedAtMs: 9_000_000 }] },
    /no session of that port around/,
  ],
  ["lines were missed meanwhile", { sessions: [{ ...cut, isWithoutGap: false }] }, /missed/],
  ["lines of one of two users of the port were missed", { sessions: [{ ...cut, isWithoutGap: false }, cut] }, /missed/],
  ["the relay was started anew meanwhile", { sessions: [{ ...cut, isSameRun: false }] }, /started anew/],
  ["it ended just now", { nowMs: ASKED_AT_MS + 500 }, /only just now/],
  ["files were not looked for", { files: { kind: "not looked for" } }, /not been looked for/],
  ["files cannot be read", { files: { kind: "not readable" } }, /cannot be read/],
  ["a file is being received", { files: found({ ...finished, isFinished: false }) }, /not finished/],
  ["a finished file cannot be read", { files: found({ queueId: "4hAbc", isFinished: true }) }, /may be the message's/],
  ["the log was not read to its end after that", { isReadToEnd: false }, /not been read to its end/],
];

for (const [what, facts, why] of undecided) {
  test(`undecided: ${what}`, () => {
    const verdict = judgeEvidence({ ...none, ...facts });
    assert.ok(verdict.verdict === "undecided", verdict.verdict);
    assert.match(verdict.why, why);
  });
}
