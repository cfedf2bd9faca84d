// The judge of a crash run: what the site knows that it handed over, what Postlane's books say of each message, and
// what the sink's ledger shows, laid beside each other. Pure, and believes nobody: a message that is in no state, or in
// two, counts against Postlane as much as one that arrived twice.

/** What the site knows of one recipient it wrote to: `ambiguous` when the COMMIT was under way as the server died. */
export type SiteKnowledge = "acknowledged" | "ambiguous";

export interface Witnesses {
  /** By recipient; each recipient is written to once. */
  readonly site: ReadonlyMap<string, SiteKnowledge>;
  readonly books: Iterable<BookedMessage>;
  readonly receptions: Iterable<{ readonly recipient: string }>;
  readonly balance: Readonly<Record<string, number>>;
}

export interface BookedMessage {
  readonly id: number;
  readonly recipient: string;
  readonly waiting: string | null;
  readonly settled: readonly string[];
}

export interface CrashVerdict {
  /** Committed submissions: acknowledged ones, and ambiguous ones that turned out to be there. */
  readonly accepted: number;
  readonly received: number;
  readonly byState: Readonly<Record<string, number>>;
  readonly unknown: number;
  /** Of the unknown ones, how many had in fact arrived. */
  readonly unknownArrived: number;
  /** Still to be handed over when the run was drained. */
  readonly waiting: number;
  readonly lost: number;
  /** Receptions beyond the first of a message. */
  readonly duplicates: number;
  /** Received, though never accepted. */
  readonly ghosts: number;
  /** In no state or in more than one. */
  readonly notInOneState: number;
  readonly isBalanced: boolean;
  /** Sentences about the first few that are wrong. */
  readonly complaints: readonly string[];
  readonly accused: readonly number[];
  readonly isClean: boolean;
}

const COMPLAINTS_MAX = 10;
/** A message in one of these has a good reason for not having been received. */
const EXCUSED = new Set(["unknown", "bounced", "expired", "canceled", "suppressed", "held"]);
const MOVING = new Set(["scheduled", "queued", "deferred"]);

export function judgeRun({ site, books, receptions, balance }: Witnesses): CrashVerdict {
  const timesReceived = countByRecipient(receptions);
  const complaints: string[] = [];
  const accused: number[] = [];
  const complain = (text: string, id?: number): void => {
    if (complaints.length >= COMPLAINTS_MAX) return;
    complaints.push(text);
    if (id !== undefined) accused.push(id);
  };
  const byState: Record<string, number> = {};
  const booked = new Set<string>();
  let [unknownArrived, waiting, lost, duplicates, ghosts, notInOneState] = [0, 0, 0, 0, 0, 0];

  for (const message of books) {
    const { id, recipient } = message;
    const times = timesReceived.get(recipient) ?? 0;
    const state = stateOf(message);
    booked.add(recipient);
    byState[state] = (byState[state] ?? 0) + 1;
    if (state === "none" || state === "several") {
      notInOneState++;
      complain(`msg_${id} to ${recipient} is in ${printStates(message)}, received ${times} times`, id);
    }
    if (state === "unknown" && times > 0) unknownArrived++;
    if (MOVING.has(state)) waiting++;
    if (times === 0 && !EXCUSED.has(state) && !MOVING.has(state)) {
      lost++;
      complain(`LOST: msg_${id} to ${recipient} is ${state} and was never received`, id);
    }
    if (times > 1) {
      duplicates += times - 1;
      complain(`DUPLICATE: msg_${id} to ${recipient} is ${state} and was received ${times} times`, id);
    }
    if (!site.has(recipient)) complain(`msg_${id} to ${recipient} is in the books, and nobody submitted it`, id);
  }
  for (const [recipient, knowledge] of site) {
    if (knowledge !== "acknowledged" || booked.has(recipient)) continue;
    lost++;
    complain(`LOST: the submission to ${recipient} was acknowledged, and the books do not have it`);
  }
  for (const [recipient, times] of timesReceived) {
    if (booked.has(recipient)) continue;
    ghosts += times;
    complain(`GHOST: ${recipient} received ${times} that the books do not have`);
  }

  const isBalanced = agrees(balance, byState);
  if (!isBalanced) complain(`the balance sheet says ${printCounts(balance)}, the messages ${printCounts(byState)}`);
  const { unknown = 0 } = byState;
  const received = [...timesReceived.values()].reduce((sum, times) => sum + times, 0);
  return {
    accepted: booked.size,
    received,
    byState,
    unknown,
    unknownArrived,
    waiting,
    lost,
    duplicates,
    ghosts,
    notInOneState,
    isBalanced,
    complaints,
    accused,
    isClean: complaints.length === 0 && waiting === 0,
  };
}

function countByRecipient(receptions: Iterable<{ readonly recipient: string }>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { recipient } of receptions) counts.set(recipient, (counts.get(recipient) ?? 0) + 1);
  return counts;
}

function stateOf({ waiting, settled }: BookedMessage): string {
  const states = [...(waiting === null ? [] : [waiting]), ...settled];
  return states.length === 1 ? states[0]! : states.length === 0 ? "none" : "several";
}

function printStates({ waiting, settled }: BookedMessage): string {
  const states = [...(waiting === null ? [] : [waiting]), ...settled];
  return states.length === 0 ? "no state" : `several states (${states.join(", ")})`;
}

function agrees(balance: Readonly<Record<string, number>>, byState: Readonly<Record<string, number>>): boolean {
  const states = new Set([...Object.keys(balance), ...Object.keys(byState)]);
  return [...states].every((state) => (balance[state] ?? 0) === (byState[state] ?? 0));
}

function printCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([state, n]) => `${state} ${n}`)
    .join(", ");
}
