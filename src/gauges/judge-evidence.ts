// What a relay's log and queue say of an attempt that got no reply to its final dot: it was accepted, it was not, or
// nobody can tell. Pure: facts in, verdict and grounds out. Only a qmgr line with the attempt's own return path, or a
// finished queue file with it, shows that a message was accepted; that neither is there shows the contrary only where
// nothing can have been missed. A `message-id=` line shows nothing: Postfix writes it before the final dot.

export interface EvidenceFacts {
  /** By the relay's clock; the attempt began before. */
  readonly askedAtMs: number;
  /** Of our side of the connection; null: not known. */
  readonly clientPort: number | null;
  /** Of a line `from=<this attempt's return path> … (queue active)`. */
  readonly activeQueueId?: string;
  /** All of that port that the log tells of, whoever they were: ports are used again. */
  readonly sessions: readonly SessionFacts[];
  /** Of the queue ids that those sessions logged. */
  readonly files: FileFacts;
  /** The log was read to its end again after the files were looked for. */
  readonly isReadToEnd: boolean;
  readonly nowMs: number;
}

export interface SessionFacts {
  readonly connectedAtMs: number;
  readonly disconnectedAtMs?: number;
  /** "lost connection after …" or "timeout after …". */
  readonly wasCut: boolean;
  /** The last ones that it logged. */
  readonly queueIds: readonly string[];
  /** Every line of the log since its `connect` was read and is remembered. */
  readonly isWithoutGap: boolean;
  /** The relay was not started anew since. */
  readonly isSameRun: boolean;
}

export type FileFacts =
  | { readonly kind: "not looked for" }
  | { readonly kind: "not readable" }
  | { readonly kind: "looked for"; readonly found: readonly QueueFileFacts[] };

export interface QueueFileFacts {
  readonly queueId: string;
  /** Mode 0700; while it is being received it is 0600. */
  readonly isFinished: boolean;
  /** Its sender is this attempt's return path; undefined: it could not be read. */
  readonly isOurs?: boolean;
}

export type EvidenceVerdict =
  | { readonly verdict: "accepted"; readonly grounds: string; readonly queueId: string }
  | { readonly verdict: "not_accepted"; readonly grounds: string }
  | { readonly verdict: "undecided"; readonly why: string };

/** The clocks of database and relay were compared; seconds of a log have no fractions. */
export const CLOCK_MARGIN_MS = 3000;
/** A line on its way from a process of the relay to the file. */
export const LOG_DELAY_MS = 2000;
/**
 * A session that ended longer before the question was another user of the port: the attempt's own ends with the attempt,
 * and that is known at once, or when its dispatcher is rescued. A rescue that comes later than this finds no session.
 */
export const SESSION_AGE_MS_MAX = 15 * 60_000;

export function judgeEvidence(facts: EvidenceFacts): EvidenceVerdict {
  const accepted = findAcceptance(facts);
  if (accepted !== undefined) return accepted;
  const why = whatIsMissing(facts);
  if (why !== undefined) return { verdict: "undecided", why };
  return {
    verdict: "not_accepted",
    grounds:
      `the session of port ${facts.clientPort} was cut and has ended, no line of the queue manager names the return ` +
      "path, no queue file has it, and the log has no gap",
  };
}

function findAcceptance({ activeQueueId, files }: EvidenceFacts): EvidenceVerdict | undefined {
  if (activeQueueId !== undefined) {
    const grounds = `the queue manager logged the return path as active (${activeQueueId})`;
    return { verdict: "accepted", grounds, queueId: activeQueueId };
  }
  const file =
    files.kind === "looked for"
      ? files.found.find(({ isFinished, isOurs }) => isFinished && isOurs === true)
      : undefined;
  if (file === undefined) return undefined;
  const grounds = `the finished queue file ${file.queueId} has the return path`;
  return { verdict: "accepted", grounds, queueId: file.queueId };
}

/** What would have to be different before its absence proves anything; undefined: nothing. */
function whatIsMissing(facts: EvidenceFacts): string | undefined {
  const { clientPort, sessions, files, askedAtMs, nowMs } = facts;
  if (clientPort === null) return "the port of the attempt's connection is not known";
  const mine = sessions.filter((session) => isAround(session, askedAtMs));
  if (mine.length === 0) return "the log shows no session of that port around the time of the attempt";
  if (!mine.every(({ isWithoutGap }) => isWithoutGap)) {
    return "lines of the log may have been missed since the session began";
  }
  if (!mine.every(({ isSameRun }) => isSameRun)) return "the relay was started anew since the session began";
  if (mine.some(({ disconnectedAtMs }) => disconnectedAtMs === undefined)) return "the session has not ended yet";
  const endedAtMs = Math.max(...mine.map(({ disconnectedAtMs = Infinity }) => disconnectedAtMs));
  if (!mine.some(({ wasCut }) => wasCut)) return "no session of that port was cut";
  if (nowMs - endedAtMs < LOG_DELAY_MS) return "the session ended only just now";
  return missingOfFiles(files, facts.isReadToEnd);
}

/** Who used the port long before, or only afterwards, has nothing to do with the attempt. */
export function isAround({ connectedAtMs, disconnectedAtMs = Infinity }: SessionFacts, askedAtMs: number): boolean {
  return connectedAtMs <= askedAtMs + CLOCK_MARGIN_MS && disconnectedAtMs >= askedAtMs - SESSION_AGE_MS_MAX;
}

function missingOfFiles(files: FileFacts, isReadToEnd: boolean): string | undefined {
  if (files.kind === "not looked for") return "the queue files have not been looked for yet";
  if (files.kind === "not readable") return "the relay's queue files cannot be read";
  if (files.found.some(({ isOurs }) => isOurs !== false))
    return "a queue file may be the message's and is not finished";
  return isReadToEnd ? undefined : "the log has not been read to its end since";
}
