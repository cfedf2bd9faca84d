// What is to come of a message whatever a relay answers, whenever: the expectation, phase by phase, which
// docs/reference/relay-matrix.md prints and the fault `a-relay-answers-anything-at-any-phase` runs. It is derived from
// the RFCs named in it and from docs/reference/outcomes.md, by hand, and never from the code that is judged by it.
// A cell is one phase and one thing that the relay does in it.

export type Connection = "goes on" | "ends";

export type Result =
  | "sent"
  | "deferred: recipient"
  | "deferred: message"
  | "deferred: destination"
  | "deferred: outlet"
  | "bounced: recipient"
  | "bounced: message"
  | "unknown: outlet"
  | "untried";

/** What a relay can do in place of a plain reply; "good" is the reply that the phase hopes for. */
export const DEEDS = [
  "good, octet by octet",
  "good, in three lines",
  "good, in a line of 64 KB",
  "good, in the timer's last second",
  "good, after 9 minutes",
  "good, twice",
  "good, then a reset",
  "550 in a line of 64 KB",
  "no reply",
  "closes",
  "a line that is not SMTP",
  "a line that ends in a bare LF",
  "two codes in one reply",
  "a reply of 101 lines",
  "refuses, and goes on as if not",
] as const;
export type Deed = (typeof DEEDS)[number];

const CLOSING = ["421", "421 4.3.2", "421 4.7.0"] as const;
const TEMPORARY = [
  "450",
  "450 4.1.1",
  "450 4.2.1",
  "450 4.4.1",
  "450 4.7.28",
  "451",
  "451 4.3.0",
  "451 4.7.1",
  "452",
  "452 4.2.2",
  "452 4.3.1",
  "452 4.5.3",
  "454",
  "454 4.7.0",
] as const;
const PERMANENT = [
  "500",
  "501",
  "501 5.1.3",
  "502",
  "503",
  "503 5.5.1",
  "504",
  "521",
  "530",
  "530 5.7.0",
  "535",
  "535 5.7.8",
  "550",
  "550 5.1.1",
  "550 5.1.7",
  "550 5.2.1",
  "550 5.7.1",
  "552",
  "552 5.2.2",
  "552 5.3.4",
  "553",
  "553 5.1.8",
  "554",
  "554 5.3.2",
  "554 5.6.0",
  "556",
  "556 5.1.10",
] as const;

/** Every phase is answered with each of them, but with the one that is its good reply. */
export const REPLIES = [...CLOSING, ...TEMPORARY, ...PERMANENT, "220", "250", "251", "354"] as const;
export type ReplyCode = (typeof REPLIES)[number];

export type Behaviour = Deed | ReplyCode;

export interface CellGroup {
  readonly result: Result;
  readonly connection: Connection;
  readonly when: readonly Behaviour[];
  readonly because: string;
}

export type PhaseName =
  | "banner"
  | "ehlo"
  | "starttls, opportunistic"
  | "starttls, required"
  | "auth"
  | "mail"
  | "mail, not the connection's first"
  | "rcpt"
  | "data"
  | "dot"
  | "rset"
  | "quit";

export interface MatrixPhase {
  readonly name: PhaseName;
  /** The moment, and the reply that is hoped for, for readers. */
  readonly moment: string;
  readonly good: string;
  readonly groups: readonly CellGroup[];
}

export interface Cell {
  readonly phase: PhaseName;
  readonly behaviour: Behaviour;
  readonly result: Result;
  readonly connection: Connection;
}

export function allCells(): readonly Cell[] {
  return MATRIX.flatMap(({ name, groups }) =>
    groups.flatMap(({ when, result, connection }) =>
      when.map((behaviour) => ({ phase: name, behaviour, result, connection })),
    ),
  );
}

// ---- what phases have in common ---------------------------------------------------------------------------------------

const UNREADABLE: readonly Deed[] = [
  "a line that is not SMTP",
  "a line that ends in a bare LF",
  "two codes in one reply",
  "a reply of 101 lines",
];
/** Of the form only: the reply says what it should. */
const ODD_BUT_GOOD: readonly Deed[] = [
  "good, octet by octet",
  "good, in three lines",
  "good, in a line of 64 KB",
  "good, in the timer's last second",
];

const without = <T extends Behaviour>(all: readonly T[], ...left: readonly Behaviour[]): readonly T[] =>
  all.filter((one) => !left.includes(one));

const WHY_GOOD =
  "a reply may come in any pieces, in several lines, and late; no limit is set to the length of a line where that can " +
  "be helped, and its text is cut (RFC 5321 §4.2.1, §4.5.3.1, §4.5.3.2)";
const WHY_UNREADABLE =
  "replies answer commands by their order alone: after one that cannot be read no other can be matched (RFC 5321 §4.2, " +
  "RFC 2920 §3.1); no content was written, so it is safe to repeat";
const WHY_GONE = "no content was written, so it is safe to repeat (RFC 5321 §3.8)";
const WHY_TIMER = "each command has a timer of its own (RFC 5321 §4.5.3.2)";
const WHY_CLOSING = "421 closes the channel at any moment (RFC 5321 §3.8)";

/** Before MAIL: nothing that is said here is about a message. */
function openingGroups(good: readonly Behaviour[], notGood: readonly ReplyCode[]): readonly CellGroup[] {
  return [
    { result: "sent", connection: "goes on", when: [...ODD_BUT_GOOD, ...good], because: WHY_GOOD },
    {
      result: "deferred: outlet",
      connection: "ends",
      when: [...CLOSING, ...TEMPORARY, ...PERMANENT, "550 in a line of 64 KB"],
      because:
        "a refusal before MAIL is about the server or about our credentials, never about a message, be it temporary or " +
        "permanent (RFC 5321 §3.1, §4.2.1; RFC 7504; RFC 4954 §6)",
    },
    {
      result: "deferred: outlet",
      connection: "ends",
      when: notGood,
      because:
        "here only one reply is a yes; another 2yz or 3yz means that replies and commands are out of step (RFC 5321 §4.3.2)",
    },
    { result: "deferred: outlet", connection: "ends", when: UNREADABLE, because: WHY_UNREADABLE },
    { result: "deferred: outlet", connection: "ends", when: ["closes", "good, then a reset"], because: WHY_GONE },
    { result: "deferred: outlet", connection: "ends", when: ["no reply", "good, after 9 minutes"], because: WHY_TIMER },
  ];
}

const AS_A_YES: CellGroup = {
  result: "sent",
  connection: "goes on",
  when: ["220", "251"],
  because: "a 2yz that is not the usual one is a yes all the same: the first digit decides (RFC 5321 §4.2.1)",
};

/** Of MAIL, RCPT and DATA: what does not depend on which of them it is. */
function envelopeGroups(good: readonly ReplyCode[]): readonly CellGroup[] {
  return [
    { result: "sent", connection: "goes on", when: ODD_BUT_GOOD, because: WHY_GOOD },
    ...(good.length === 0 ? [] : [AS_A_YES]),
    { result: "deferred: outlet", connection: "ends", when: CLOSING, because: WHY_CLOSING },
    {
      result: "deferred: outlet",
      connection: "ends",
      when: good.length === 0 ? ["220", "250", "251"] : ["354"],
      because: "only DATA has an intermediate reply, and no other positive one (RFC 5321 §4.3.2): out of step",
    },
    { result: "deferred: outlet", connection: "ends", when: UNREADABLE, because: WHY_UNREADABLE },
    {
      result: "deferred: outlet",
      connection: "ends",
      when: ["good, twice"],
      because: "one reply too many, and all that follow would answer the wrong command (RFC 2920 §3.1)",
    },
    { result: "deferred: outlet", connection: "ends", when: ["closes", "good, then a reset"], because: WHY_GONE },
    { result: "deferred: outlet", connection: "ends", when: ["no reply", "good, after 9 minutes"], because: WHY_TIMER },
  ];
}

const WHY_SESSION =
  "these speak of the connection, of our credentials or of what the two programs understand, in any phase (RFC 5321 " +
  "§4.2.4, RFC 7504, RFC 4954 §6, RFC 3207 §4, RFC 3463 §3.6)";
const WHY_SYSTEM = "the system we speak to is full or takes no mail (RFC 3463 §3.4, RFC 5321 §4.5.3.1.10)";
const WHY_DESTINATION = "X.4.z is the way to the destination, X.7.z wants less of us (RFC 3463 §3.5, §3.8)";
const WHY_ADDRESS = "X.1.z and X.2.z name the recipient's address and mailbox (RFC 3463 §3.2, §3.3)";
const WHY_THIS_MAIL =
  "its sender (X.1.7, X.1.8), its form (X.6.z), its size (X.3.4) or a policy (X.7.z) is to blame, and nothing is said of " +
  "the address (RFC 3463 §3)";

const mailGroups: readonly CellGroup[] = [
  {
    result: "deferred: outlet",
    connection: "goes on",
    when: without(TEMPORARY, "450 4.1.1"),
    because: "no recipient was named yet, so whatever is wrong would be so for the next message, too",
  },
  {
    result: "deferred: message",
    connection: "goes on",
    when: ["450 4.1.1"],
    because: "before RCPT the only address is the sender's (RFC 3463 §3.2)",
  },
  {
    result: "deferred: outlet",
    connection: "ends",
    when: ["503", "503 5.5.1"],
    because: "the server is in another state than we believe, and might use an earlier envelope (RFC 5321 §4.1.4)",
  },
  {
    result: "bounced: message",
    connection: "goes on",
    when: ["552", "552 5.3.4", "550 5.1.1", "550 5.1.7", "501 5.1.3", "553 5.1.8", "556 5.1.10", "554 5.6.0"],
    because: "the answer to SIZE (RFC 1870 §6.1), to this sender's address or to this content's form (RFC 3463 §3)",
  },
  {
    result: "deferred: outlet",
    connection: "goes on",
    when: [
      "500",
      "501",
      "502",
      "504",
      "521",
      "530",
      "530 5.7.0",
      "535",
      "535 5.7.8",
      "550",
      "550 5.2.1",
      "550 5.7.1",
      "552 5.2.2",
      "553",
      "554",
      "554 5.3.2",
      "556",
      "550 in a line of 64 KB",
    ],
    because: "a relay that refuses our sender refuses all of our mail: it waits, visibly, and no campaign is bounced",
  },
  {
    result: "deferred: outlet",
    connection: "ends",
    when: ["refuses, and goes on as if not"],
    because:
      "the server took a recipient without a MAIL of ours: it has an envelope that is not this one (RFC 5321 §4.1.4)",
  },
];

/** Of a temporary refusal when recipient or content were named. */
const temporaryGroups = (byCode: readonly CellGroup[]): readonly CellGroup[] => [
  ...byCode,
  {
    result: "deferred: recipient",
    connection: "goes on",
    when: ["450 4.1.1", "450 4.2.1", "452 4.2.2"],
    because: WHY_ADDRESS,
  },
  {
    result: "deferred: destination",
    connection: "goes on",
    when: ["450 4.4.1", "450 4.7.28", "451 4.7.1", "454 4.7.0"],
    because: WHY_DESTINATION,
  },
  {
    result: "deferred: outlet",
    connection: "goes on",
    when: ["451 4.3.0", "452 4.3.1", "452 4.5.3"],
    because: WHY_SYSTEM,
  },
];

const SESSION: readonly ReplyCode[] = [
  "500",
  "502",
  "503",
  "503 5.5.1",
  "504",
  "521",
  "530",
  "530 5.7.0",
  "535",
  "535 5.7.8",
];

const rcptGroups: readonly CellGroup[] = [
  ...temporaryGroups([
    {
      result: "deferred: recipient",
      connection: "goes on",
      when: ["450", "451", "452", "454"],
      because: "without an enhanced code the blame is kept small: one mailbox must not stop an outlet",
    },
  ]),
  {
    result: "deferred: recipient",
    connection: "goes on",
    when: ["552", "552 5.2.2"],
    because: "552 to RCPT is to be read as 452 (RFC 5321 §4.5.3.1.10)",
  },
  { result: "deferred: message", connection: "goes on", when: ["552 5.3.4"], because: "the same, and it is the size" },
  { result: "deferred: outlet", connection: "goes on", when: [...SESSION, "554 5.3.2"], because: WHY_SESSION },
  {
    result: "bounced: recipient",
    connection: "goes on",
    when: [
      "501",
      "501 5.1.3",
      "550",
      "550 5.1.1",
      "550 5.2.1",
      "553",
      "554",
      "556",
      "556 5.1.10",
      "550 in a line of 64 KB",
      "refuses, and goes on as if not",
    ],
    because:
      "the address is RCPT's only argument (RFC 5321 §3.3, RFC 7505 §4.1); where 354 follows all the same, a lone dot " +
      "ends it and no content goes (RFC 2920 §3.1)",
  },
  {
    result: "bounced: message",
    connection: "goes on",
    when: ["550 5.1.7", "550 5.7.1", "553 5.1.8", "554 5.6.0"],
    because: WHY_THIS_MAIL,
  },
];

/** DATA and the final dot are refused for the same reasons. */
const contentGroups: readonly CellGroup[] = [
  ...temporaryGroups([
    {
      result: "deferred: message",
      connection: "goes on",
      when: ["450", "451", "454"],
      because: "without an enhanced code the blame is kept small: the recipient had been taken",
    },
    {
      result: "deferred: outlet",
      connection: "goes on",
      when: ["452"],
      because: "insufficient system storage (RFC 5321 §4.2.2)",
    },
  ]),
  { result: "deferred: outlet", connection: "goes on", when: [...SESSION, "501", "554 5.3.2"], because: WHY_SESSION },
  {
    result: "bounced: recipient",
    connection: "goes on",
    when: ["501 5.1.3", "550 5.1.1", "550 5.2.1", "552 5.2.2", "556 5.1.10"],
    because: WHY_ADDRESS,
  },
  {
    result: "bounced: message",
    connection: "goes on",
    when: [
      "550",
      "550 5.1.7",
      "550 5.7.1",
      "552",
      "552 5.3.4",
      "553",
      "553 5.1.8",
      "554",
      "554 5.6.0",
      "556",
      "550 in a line of 64 KB",
    ],
    because: `the recipient had been taken; ${WHY_THIS_MAIL}`,
  },
];

const dotGroups: readonly CellGroup[] = [
  {
    result: "sent",
    connection: "goes on",
    when: [...ODD_BUT_GOOD, "220", "251", "good, after 9 minutes"],
    because: "a 2yz to the final dot is the next hop's yes, and it has 10 minutes for it (RFC 5321 §4.2.5, §4.5.3.2.6)",
  },
  {
    result: "sent",
    connection: "ends",
    when: ["good, then a reset", "good, twice"],
    because: "the yes stands, whatever comes behind it (RFC 5321 §4.2.5)",
  },
  {
    result: "unknown: outlet",
    connection: "ends",
    when: ["no reply", "closes", ...UNREADABLE, "354"],
    because: "the dot was written, and neither yes nor no is known (RFC 5321 §6.1, RFC 1047)",
  },
  {
    result: "deferred: outlet",
    connection: "ends",
    when: CLOSING,
    because: "4yz is a no, and the message is not the other side's (RFC 5321 §4.2.5, §3.8)",
  },
];

const rsetGroups: readonly CellGroup[] = [
  {
    result: "sent",
    connection: "goes on",
    when: [...ODD_BUT_GOOD, "220", "251"],
    because: "it is a yes (RFC 5321 §4.1.1.5)",
  },
  {
    result: "untried",
    connection: "ends",
    when: CLOSING,
    because: "it answers RSET, and so no message (RFC 5321 §3.8); the next one is not begun",
  },
  {
    result: "deferred: outlet",
    connection: "ends",
    when: [...TEMPORARY, ...PERMANENT, "550 in a line of 64 KB", "354", ...UNREADABLE, "good, twice"],
    because:
      "RSET is always obeyed (RFC 5321 §4.1.1.5); where it is not, the next message might go under the last one's envelope",
  },
  { result: "deferred: outlet", connection: "ends", when: ["closes", "good, then a reset"], because: WHY_GONE },
  { result: "deferred: outlet", connection: "ends", when: ["no reply", "good, after 9 minutes"], because: WHY_TIMER },
];

const quitGroups: readonly CellGroup[] = [
  {
    result: "sent",
    connection: "ends",
    when: [...without(DEEDS, "refuses, and goes on as if not"), ...REPLIES],
    because: "what came before stands, and nobody waits longer than 2 s for a reply to QUIT (RFC 5321 §4.1.1.10)",
  },
];

// Of these the general groups of an opening have others than the phase.
const taken = (groups: readonly CellGroup[], ...special: readonly CellGroup[]): readonly CellGroup[] => {
  const own = special.flatMap(({ when }) => when);
  const rest = groups.map((group) => ({ ...group, when: without(group.when, ...own) }));
  return [...rest.filter(({ when }) => when.length > 0), ...special];
};

const OUT_OF_STEP: CellGroup = {
  result: "deferred: outlet",
  connection: "ends",
  when: ["good, twice"],
  because: "the second reply answers a command that it cannot be meant for (RFC 5321 §4.3.2)",
};

export const MATRIX: readonly MatrixPhase[] = [
  {
    name: "banner",
    moment: "The connection stands, and the server speaks first.",
    good: "220",
    groups: taken(openingGroups([], ["250", "251", "354"]), OUT_OF_STEP),
  },
  {
    name: "ehlo",
    moment: "The reply to EHLO.",
    good: "250",
    groups: taken(
      openingGroups([], ["220", "251", "354"]),
      {
        result: "sent",
        connection: "goes on",
        when: ["500", "502"],
        because: "a server that does not know EHLO is spoken to with HELO (RFC 5321 §3.2)",
      },
      OUT_OF_STEP,
    ),
  },
  {
    name: "starttls, opportunistic",
    moment: "The reply to STARTTLS, where `tls` is `opportunistic`.",
    good: "220",
    groups: taken(
      openingGroups(["good, twice"], ["250", "251", "354"]),
      {
        result: "sent",
        connection: "goes on",
        when: [...TEMPORARY, ...PERMANENT, "550 in a line of 64 KB"],
        because: "the server declines, and clear is allowed (RFC 3207 §4, RFC 7435)",
      },
      {
        result: "sent",
        connection: "ends",
        when: ["good, then a reset"],
        because: "the handshake failed: a new connection to the same host goes on in clear (RFC 7435)",
      },
    ),
  },
  {
    name: "starttls, required",
    moment: "The reply to STARTTLS, where `tls` is `required`.",
    good: "220",
    groups: openingGroups(["good, twice"], ["250", "251", "354"]),
  },
  {
    name: "auth",
    moment: "The reply to AUTH PLAIN with its initial response.",
    good: "235",
    groups: taken(openingGroups([], ["220", "250", "251", "354"]), OUT_OF_STEP),
  },
  {
    name: "mail",
    moment: "The reply to MAIL, the first on its connection.",
    good: "250",
    groups: [...envelopeGroups(["250"]), ...mailGroups],
  },
  {
    name: "mail, not the connection's first",
    moment: "The reply to MAIL when the connection has delivered before.",
    good: "250",
    groups: taken([...envelopeGroups(["250"]), ...mailGroups], {
      result: "untried",
      connection: "ends",
      when: [...CLOSING, "closes"],
      because:
        "a server ends a connection after so many messages or so long; our MAIL crossed that, and was not begun (RFC " +
        "5321 §3.8)",
    }),
  },
  {
    name: "rcpt",
    moment: "The reply to RCPT.",
    good: "250",
    groups: [...envelopeGroups(["250"]), ...rcptGroups],
  },
  {
    name: "data",
    moment: "The reply to the command DATA.",
    good: "354",
    groups: taken([...envelopeGroups([]), ...contentGroups], {
      result: "unknown: outlet",
      connection: "ends",
      when: ["good, then a reset"],
      because: "it comes amid the content, whose final dot is written by then: neither yes nor no is known (RFC 1047)",
    }),
  },
  {
    name: "dot",
    moment: "The reply to the content and its final dot.",
    good: "250",
    groups: [...dotGroups, ...contentGroups],
  },
  {
    name: "rset",
    moment:
      "The reply to RSET, which stands ahead of MAIL when the message before was refused; of the message behind it.",
    good: "250",
    groups: rsetGroups,
  },
  {
    name: "quit",
    moment: "The reply to QUIT; of the message before it.",
    good: "221",
    groups: quitGroups,
  },
];
