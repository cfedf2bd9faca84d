// The judge of demo and fault runs: what the site knows that it handed over, what Postlane's books say of each message, and
// what the sink's ledger shows, laid beside each other. Pure, and believes nobody: a message that is in no state, or in
// two, counts against Postlane as much as one that arrived twice. What it holds a run against:
//   nothing lost: an acknowledged submission is in the books; what is settled as sent was received
//   duplicates bounded: a message was received at most once more than it has attempts that were called unknown
//   no ghosts: what was received was accepted
//   the books balance: one state each, the balance sheet says the same, and what was received has an attempt in its story
//   content: what was received carries its own marks and nobody else's

/** What the site knows of one recipient it wrote to: `ambiguous` when the COMMIT was under way as the server died. */
export type SiteKnowledge = "acknowledged" | "ambiguous";

export interface Witnesses {
  /** By recipient; each recipient is written to once. */
  readonly site: ReadonlyMap<string, SiteKnowledge>;
  readonly books: Iterable<BookedMessage>;
  readonly receptions: Iterable<{ readonly recipient: string; readonly noted?: string }>;
  readonly balance: Readonly<Record<string, number>>;
  /** Which marks the content to this recipient has, as the sink notes them; absent: contents are not looked at. */
  readonly marksOf?: (recipient: string) => string;
}

export interface BookedMessage {
  readonly id: number;
  readonly recipient: string;
  readonly waiting: string | null;
  readonly settled: readonly string[];
  /** Attempts in its story that were called unknown. */
  readonly unknownAttempts?: number;
  /** Attempts in its story, whatever became of them; absent: stories are not looked at. */
  readonly attempts?: number;
}

export interface RunVerdict {
  /** Committed submissions: acknowledged ones, and ambiguous ones that turned out to be there. */
  readonly accepted: number;
  readonly received: number;
  readonly byState: Readonly<Record<string, number>>;
  /** Messages of which an attempt was called unknown. */
  readonly unknown: number;
  /** Of those that are unknown still, how many had in fact arrived. */
  readonly unknownArrived: number;
  /** Still to be handed over when the run was drained. */
  readonly waiting: number;
  readonly lost: number;
  /** Receptions beyond the first of a message. */
  readonly duplicates: number;
  /** Of those, the ones that no unknown attempt explains. */
  readonly unexplained: number;
  /** Received, though never accepted. */
  readonly ghosts: number;
  /** In no state or in more than one. */
  readonly notInOneState: number;
  /** Received, and no attempt in the story. */
  readonly untold: number;
  /** Received with other marks than its own. */
  readonly mixedUp: number;
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

export function judgeRun({ site, books, receptions, balance, marksOf }: Witnesses): RunVerdict {
  const complaints: string[] = [];
  const accused: number[] = [];
  const complain = (text: string, id?: number): void => {
    if (complaints.length >= COMPLAINTS_MAX) return;
    complaints.push(text);
    if (id !== undefined) accused.push(id);
  };
  const { timesReceived, mixedUp } = readReceptions(receptions, marksOf, complain);
  const byState: Record<string, number> = {};
  const booked = new Set<string>();
  let [unknown, unknownArrived, waiting, lost, duplicates, unexplained, ghosts, notInOneState, untold] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0,
  ];

  for (const message of books) {
    const { id, recipient, attempts } = message;
    const times = timesReceived.get(recipient) ?? 0;
    const state = stateOf(message);
    const unknownAttempts = message.unknownAttempts ?? 0;
    booked.add(recipient);
    byState[state] = (byState[state] ?? 0) + 1;
    if (state === "none" || state === "several") {
      notInOneState++;
      complain(`msg_${id} to ${recipient} is in ${printStates(message)}, received ${times} times`, id);
    }
    if (state === "unknown" || unknownAttempts > 0) unknown++;
    if (state === "unknown" && times > 0) unknownArrived++;
    if (MOVING.has(state)) waiting++;
    if (times === 0 && !EXCUSED.has(state) && !MOVING.has(state)) {
      lost++;
      complain(`LOST: msg_${id} to ${recipient} is ${state} and was never received`, id);
    }
    if (times > 1) {
      duplicates += times - 1;
      const beyond = Math.max(0, times - 1 - unknownAttempts);
      unexplained += beyond;
      if (beyond > 0) complain(`DUPLICATE: msg_${id} to ${recipient} is ${state} and was received ${times} times`, id);
    }
    if (times > 0 && attempts === 0) {
      untold++;
      complain(`msg_${id} to ${recipient} is ${state} and was received ${times} times without an attempt`, id);
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
    unexplained,
    ghosts,
    notInOneState,
    untold,
    mixedUp,
    isBalanced,
    complaints,
    accused,
    isClean: complaints.length === 0 && waiting === 0,
  };
}

function readReceptions(
  receptions: Witnesses["receptions"],
  marksOf: Witnesses["marksOf"],
  complain: (text: string) => void,
): { readonly timesReceived: ReadonlyMap<string, number>; readonly mixedUp: number } {
  const timesReceived = new Map<string, number>();
  let mixedUp = 0;
  for (const { recipient, noted = "" } of receptions) {
    timesReceived.set(recipient, (timesReceived.get(recipient) ?? 0) + 1);
    const wanted = marksOf?.(recipient);
    if (wanted === undefined || wanted === noted) continue;
    mixedUp++;
    complain(`CONTENT: ${recipient} received marks ${noted || "of nobody"} in place of ${wanted}`);
  }
  return { timesReceived, mixedUp };
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
