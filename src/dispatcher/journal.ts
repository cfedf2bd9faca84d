// The dispatcher's local record of hand-overs begun and answered (DESIGN: the contract, 3). A line goes in before the
// final dot is written to a socket, another when its reply is known. Written without fsync: the page cache survives a
// killed process but not the machine, so the first line names the kernel's boot, and it is believed under that only.
//
// Lines are ASCII, each ends in LF; a last line without it is torn and makes its message unknown.
//   postlane-journal 2 <boot id> <lease id> <lane id> <pid> <process start> <database> <lease acquired, in µs>
//   c <message id> <attempt>             a suspect is being merged: one that was claimed when a dispatcher died
//   m <message id> <attempt>             it is merged, and did no harm
//   d <message id> <attempt> <outlet> <port>   a final dot may be written from here on, from this port (0: none)
//   a <message id> <attempt> <answer>    the reply, judged: JSON

import { closeSync, openSync, readFileSync, readSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import type { LaneId, LeaseId, MessageId } from "../mail/ids.ts";
import type { AttemptName } from "../mail/return-token.ts";

export interface JournalHead {
  readonly bootId: string;
  readonly leaseId: LeaseId;
  readonly laneId: LaneId;
  readonly pid: number;
  /** Tells a process from a later one with the same pid. */
  readonly processStart: string;
  /**
   * A lease id of one database means nothing in another, nor in one that was set back: which database it is about, and when
   * the lease was taken there. Absent: version 1, which is believed.
   */
  readonly database?: { readonly identity: string; readonly leaseAcquiredUs: number } | undefined;
}

/** What a rescuer must know to settle a message by its reply. */
export interface JournalAnswer {
  readonly kind: "sent" | "deferred" | "bounced" | "unknown";
  readonly outlet: string;
  readonly host: string;
  readonly reply: string;
  readonly isOwnFault: boolean;
}

/** What a final dot goes out by: evidence for whoever asks the relay's log. */
interface DotPlace {
  readonly outlet?: string | undefined;
  /** Our port of the connection. */
  readonly clientPort?: number | undefined;
}

export interface Journal {
  /** Returns only when the line is written: should merging it kill the process, the journal names the culprit. */
  composing(attempt: AttemptName): void;
  /** Returns only when the lines are written. Throws when they cannot be: then no dot may follow. */
  dots(attempts: readonly (AttemptName & DotPlace)[]): void;
  /** Kept until the next `dots` or `flush`: a reply that is lost with the process makes its message unknown. */
  answer(attempt: AttemptName, answer: JournalAnswer): void;
  /** Returns only when all lines are written. What was being merged is merged. */
  flush(): void;
  /** The database knows how its attempts ended: their lines may go when the file starts again. */
  settled(messageId: MessageId): void;
  /** The file stays: it is evidence until its lease has ended. */
  close(): void;
  remove(): void;
}

/** Bytes after which the file starts again with the lines of what is not settled yet. */
export const JOURNAL_BYTES_MAX = 64 * 1024 * 1024;

export function openJournal(file: string, head: JournalHead, bytesMax: number = JOURNAL_BYTES_MAX): Journal {
  const headLine = printHead(head);
  const unsettled = new Map<MessageId, string>();
  let descriptor = openSync(file, "wx", 0o600);
  let bytes = 0;
  let pending = headLine;
  let underMerge: AttemptName | undefined;

  const note = ({ messageId }: AttemptName, line: string): void => {
    unsettled.set(messageId, (unsettled.get(messageId) ?? "") + line);
    pending += line;
  };
  // What a full disk took of a write is not written again behind itself: the rest goes on where it ended.
  const write = (): void => {
    while (pending !== "") {
      const written = writeSync(descriptor, pending, null, "latin1");
      bytes += written;
      pending = pending.slice(written);
    }
    if (bytes > bytesMax) startAgain();
  };
  // The whole new file takes the old one's name in one step: a crash finds one or the other.
  const startAgain = (): void => {
    const fresh = openSync(`${file}.new`, "w", 0o600);
    try {
      const text = headLine + [...unsettled.values()].join("");
      writeFileSync(fresh, text, "latin1");
      renameSync(`${file}.new`, file);
      bytes = text.length;
    } catch (error) {
      closeSync(fresh);
      throw error;
    }
    closeSync(descriptor);
    descriptor = fresh;
  };
  const endMerge = (): void => {
    if (underMerge === undefined) return;
    const { messageId, attempt } = underMerge;
    note(underMerge, `m ${messageId} ${attempt}\n`);
    underMerge = undefined;
  };
  write();

  return {
    composing(attempt) {
      endMerge();
      note(attempt, `c ${attempt.messageId} ${attempt.attempt}\n`);
      write();
      underMerge = attempt;
    },
    dots(attempts) {
      endMerge();
      for (const { messageId, attempt, outlet = "-", clientPort = 0 } of attempts) {
        note({ messageId, attempt }, `d ${messageId} ${attempt} ${outlet} ${clientPort}\n`);
      }
      write();
    },
    answer(attempt, answer) {
      note(attempt, `a ${attempt.messageId} ${attempt.attempt} ${asciiJson(answer)}\n`);
    },
    flush() {
      endMerge();
      write();
    },
    settled(messageId) {
      unsettled.delete(messageId);
    },
    close() {
      closeSync(descriptor);
    },
    remove() {
      removeJournal(file);
    },
  };
}

function printHead({ bootId, leaseId, laneId, pid, processStart, database }: JournalHead): string {
  const process = `${bootId} ${leaseId} ${laneId} ${pid} ${processStart}`;
  if (database === undefined) return `postlane-journal 1 ${process}\n`;
  return `postlane-journal 2 ${process} ${database.identity} ${database.leaseAcquiredUs}\n`;
}

/** Also what a crash left of a file that was starting again. */
export function removeJournal(file: string): void {
  rmSync(file, { force: true });
  rmSync(`${file}.new`, { force: true });
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

export type JournalVerdict =
  | { readonly kind: "no_line" }
  /** The suspect that was being merged when the process died. */
  | { readonly kind: "composing" }
  | ({ readonly kind: "dot" } & DotPlace)
  | { readonly kind: "answered"; readonly answer: JournalAnswer };

export interface JournalEvidence {
  readonly head: JournalHead;
  /** What the journal says of this attempt. A torn last line that could be about it makes it `dot`. */
  verdictOn(messageId: MessageId, attempt: number): JournalVerdict;
  readonly answered: readonly (AttemptName & { readonly answer: JournalAnswer })[];
}

/** The first line is far shorter. */
const HEAD_BYTES_MAX = 1024;

/** Of the first line alone: the journal of a process that lives may be large, and is met every few seconds. */
export function readJournalHead(file: string): JournalHead | undefined {
  const descriptor = openIfThere(file);
  if (descriptor === undefined) return undefined;
  try {
    const octets = Buffer.alloc(HEAD_BYTES_MAX);
    const text = octets.toString("latin1", 0, readSync(descriptor, octets));
    return text.includes("\n") ? readHead(text.slice(0, text.indexOf("\n"))) : undefined;
  } finally {
    closeSync(descriptor);
  }
}

/** Undefined when the file is no journal or gone, or was torn before its first line was whole: then it began nothing. */
export function readJournal(file: string): JournalEvidence | undefined {
  const lines = readIfThere(file).split("\n");
  const torn = lines.pop() ?? "";
  const head = readHead(lines.shift());
  if (head === undefined) return undefined;
  const dots = new Map<string, DotPlace>();
  const answers = new Map<string, JournalAnswer>();
  // Merging writes nothing, so it is under way only as long as its line is the very last one.
  let composing: string | undefined;
  for (const line of lines) {
    composing = undefined;
    const found = /^([cmda]) (\d+ \d+)(?: (.*))?$/.exec(line);
    if (found === null) continue;
    const [, kind, key, rest] = found as unknown as [string, string, string, string | undefined];
    const answer = kind === "a" ? readAnswer(rest) : undefined;
    if (answer !== undefined) answers.set(key, answer);
    else if (kind === "c") composing = key;
    else if (kind !== "m") dots.set(key, readPlace(rest));
  }
  if (torn !== "") composing = undefined;
  const tornAttempt = torn.replace(/^[cmda]? ?/, "");
  return {
    head,
    verdictOn(messageId, attempt) {
      const key = `${messageId} ${attempt}`;
      const answer = answers.get(key);
      if (answer !== undefined) return { kind: "answered", answer };
      const isTorn = torn !== "" && (key.startsWith(tornAttempt) || tornAttempt.startsWith(`${key} `));
      if (dots.has(key) || isTorn) return { kind: "dot", ...dots.get(key) };
      return { kind: key === composing ? "composing" : "no_line" };
    },
    answered: [...answers].map(([key, answer]) => {
      const [messageId, attempt] = key.split(" ").map(Number);
      return { messageId: messageId as MessageId, attempt: attempt!, answer };
    }),
  };
}

// An answer that cannot be read is a dot, too: of it only the attempt is certain.
function readPlace(text: string | undefined): DotPlace {
  const [, outlet, port] = /^(\S+) (\d+)$/.exec(text ?? "") ?? [];
  if (outlet === undefined || outlet === "-") return {};
  return port === "0" ? { outlet } : { outlet, clientPort: Number(port) };
}

function readIfThere(file: string): string {
  const descriptor = openIfThere(file);
  if (descriptor === undefined) return "";
  try {
    return readFileSync(descriptor, "latin1");
  } finally {
    closeSync(descriptor);
  }
}

/** Undefined: another process on this data directory has rescued by it meanwhile. */
function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Undefined for what a machine that stopped may leave: then only the dot is certain. */
function readAnswer(text: string | undefined): JournalAnswer | undefined {
  try {
    const answer = JSON.parse(text ?? "") as Partial<JournalAnswer> | null;
    return ANSWER_KINDS.has(answer?.kind ?? "") ? (answer as JournalAnswer) : undefined;
  } catch {
    return undefined;
  }
}

const ANSWER_KINDS: ReadonlySet<string> = new Set(["sent", "deferred", "bounced", "unknown"]);

function readHead(line: string | undefined): JournalHead | undefined {
  const found = HEAD.exec(line ?? "");
  const isWhole = found !== null && (found[1] === "1") === (found[7] === undefined);
  if (!isWhole) return undefined;
  const [, , bootId, leaseId, laneId, pid, processStart, identity, acquiredUs] = found;
  if (bootId === undefined || processStart === undefined) return undefined;
  return {
    bootId,
    leaseId: Number(leaseId) as LeaseId,
    laneId: Number(laneId) as LaneId,
    pid: Number(pid),
    processStart,
    ...(identity === undefined ? {} : { database: { identity, leaseAcquiredUs: Number(acquiredUs) } }),
  };
}

const HEAD = /^postlane-journal ([12]) (\S+) (\d+) (\d+) (\d+) (\S+)(?: (\S+) (\d+))?$/;
