// Evidence for attempts that nobody can tell the end of: the facts of each are gathered from the relay's log and queue
// and judged. In the one order that proves an absence: the session has ended, then the files are looked for, then the
// log is read to its end once more. An acceptance is seen by one of the two, wherever the message moves meanwhile.

import { findInSpool } from "../mailers/postfix/spool.ts";
import { senderOfQueueFile } from "../mailers/postfix/queue-file.ts";
import { claimedName, type AttemptName } from "../mail/return-token.ts";
import type { AgentReturn } from "../returns/return-store.ts";
import { isAround, judgeEvidence, type EvidenceFacts, type EvidenceVerdict, type FileFacts } from "./judge-evidence.ts";
import type { OpenQuestion } from "./question-store.ts";
import { createRecentMap } from "./recent-map.ts";
import type { RelayMemory } from "./relay-memory.ts";

export interface EvidencePorts {
  readonly outlet: string;
  readonly memory: RelayMemory;
  readonly queueDirectory: string;
  readonly tokenOf: (address: string) => string | undefined;
  readonly wallMs: () => number;
  /** Reads the log to its end, and says whether it got there. */
  readonly catchUp: () => Promise<boolean>;
}

/** The contract with whoever judges: `postlane.return.body` of source `evidence`. */
export interface EvidenceReturn {
  readonly message_id: number;
  readonly attempt: number;
  readonly verdict: "accepted" | "not_accepted";
  readonly grounds: string;
  readonly queue_id?: string;
}

export type EvidenceFinder = (questions: readonly OpenQuestion[]) => Promise<readonly AgentReturn[]>;

/**
 * A look for files costs some hundred looks at folders. While a question is young they are looked for each time; a file
 * that tells later, when an absence can no longer be shown, is found at this interval.
 */
const YOUNG_MS = 120_000;
const LOOK_AGAIN_MS = 60_000;
const LOOKS_MAX = 10_000;

export function createEvidenceFinder(ports: EvidencePorts): EvidenceFinder {
  const looks = createRecentMap<string, number>(LOOKS_MAX);
  const isTime = ({ message_id, attempt, ago_ms }: OpenQuestion): boolean => {
    const key = `${message_id}/${attempt}`;
    const nowMs = ports.wallMs();
    if (ago_ms >= YOUNG_MS && nowMs - (looks.get(key) ?? -Infinity) < LOOK_AGAIN_MS) return false;
    looks.set(key, nowMs, nowMs);
    return true;
  };
  return (questions) => findEvidence(questions, ports, isTime);
}

async function findEvidence(
  questions: readonly OpenQuestion[],
  ports: EvidencePorts,
  isTime: (question: OpenQuestion) => boolean,
): Promise<readonly AgentReturn[]> {
  const looked: Looked[] = [];
  for (const question of questions) {
    const withoutFiles = gather(question, { files: { kind: "not looked for" }, isReadToEnd: false }, ports);
    const isLooked = hasEnded(withoutFiles) && isTime(question);
    const files = isLooked ? await lookForFiles(question, withoutFiles, ports) : withoutFiles.files;
    looked.push({ question, files, endedBefore: countEnded(withoutFiles) });
  }
  // Only an absence needs it, and one reading does for all of them.
  const isReadToEnd = looked.some(({ files }) => files.kind === "looked for") && (await ports.catchUp());
  return looked.flatMap(({ question, files, endedBefore }) => {
    const facts = gather(question, { files, isReadToEnd }, ports);
    // A session that has ended since then may have left a file since then.
    const verdict = judgeEvidence({ ...facts, isReadToEnd: isReadToEnd && countEnded(facts) === endedBefore });
    return verdict.verdict === "undecided" ? [] : [arrivalOf(ports.outlet, question, verdict)];
  });
}

interface Looked {
  readonly question: OpenQuestion;
  readonly files: FileFacts;
  readonly endedBefore: number;
}

function countEnded({ sessions }: EvidenceFacts): number {
  return sessions.filter(({ disconnectedAtMs }) => disconnectedAtMs !== undefined).length;
}

const nameOf = ({ message_id, attempt }: OpenQuestion): AttemptName => ({ messageId: message_id, attempt });

function gather(
  question: OpenQuestion,
  found: Pick<EvidenceFacts, "files" | "isReadToEnd">,
  { memory, wallMs }: EvidencePorts,
): EvidenceFacts {
  const activeQueueId = memory.activeQueueIdOf(nameOf(question));
  const askedAtMs = wallMs() - question.ago_ms;
  return {
    askedAtMs,
    clientPort: question.client_port,
    sessions: sessionsAround(question.client_port, askedAtMs, memory),
    ...(activeQueueId === undefined ? {} : { activeQueueId }),
    ...found,
    nowMs: wallMs(),
  };
}

function sessionsAround(port: number | null, askedAtMs: number, memory: RelayMemory): EvidenceFacts["sessions"] {
  return port === null ? [] : memory.sessionsOf(port).filter((session) => isAround(session, askedAtMs));
}

/** Not before the session has ended: a file that is being received tells nothing, and later it is looked for anyway. */
function hasEnded({ activeQueueId, sessions }: EvidenceFacts): boolean {
  return activeQueueId === undefined && sessions.some(({ disconnectedAtMs }) => disconnectedAtMs !== undefined);
}

async function lookForFiles(
  question: OpenQuestion,
  { sessions }: EvidenceFacts,
  ports: EvidencePorts,
): Promise<FileFacts> {
  const found = [];
  for (const queueId of new Set(sessions.flatMap(({ queueIds }) => queueIds))) {
    const file = await findInSpool(ports.queueDirectory, queueId);
    if (file.kind === "absent") continue;
    if (file.kind !== "found") return { kind: "not readable" };
    const isOurs = await isFileOf(question, file.path, ports);
    found.push({ queueId, isFinished: file.mode === FINISHED_MODE, ...(isOurs === undefined ? {} : { isOurs }) });
  }
  return { kind: "looked for", found };
}

/** cleanup(8) makes a queue file with 0600, and 0700 once it is whole and on disk. */
const FINISHED_MODE = 0o700;

/** Undefined: its sender cannot be told; it has moved meanwhile, say, and the next look finds it. */
async function isFileOf(question: OpenQuestion, file: string, ports: EvidencePorts): Promise<boolean | undefined> {
  const sender = await senderOfQueueFile(file).catch(() => undefined);
  if (sender === undefined) return undefined;
  const token = ports.tokenOf(sender);
  const name = token === undefined ? undefined : claimedName(token);
  return name?.messageId === question.message_id && name.attempt === question.attempt;
}

function arrivalOf(
  outlet: string,
  question: OpenQuestion,
  verdict: Exclude<EvidenceVerdict, { verdict: "undecided" }>,
): AgentReturn {
  const body: EvidenceReturn = {
    message_id: question.message_id,
    attempt: question.attempt,
    verdict: verdict.verdict,
    grounds: verdict.grounds,
    ...(verdict.verdict === "accepted" ? { queue_id: verdict.queueId } : {}),
  };
  return { outlet, source: "evidence", body };
}
