// Why one message is not out yet, and when it is next tried: its own state first, and for one that is due whatever stops
// its lane, campaign, destination or outlets. Pure.

import type { Reason, ReasonCode } from "../mail/reasons.ts";
import { isSettled } from "../mail/state.ts";
import type { LaneView } from "./engine-snapshot.ts";
import { costsOf, limitOf, RANK, tenth, type Limit } from "./explain-limit.ts";
import type { MessageStory } from "./message-story.ts";

export interface MessageFacts {
  readonly story: MessageStory;
  /** While it waits. */
  readonly destination?: string;
}

/** `limits`: of the whole engine, in their order. */
export function explainMessage(
  { story, destination }: MessageFacts,
  limits: readonly Limit[],
  lane: LaneView | undefined,
  nowMs: number,
): readonly Limit[] {
  const own = (code: ReasonCode, evidence: Reason["evidence"], kind: Reason["limits"] = "stop"): Limit =>
    limitOf("part", { code, limits: kind, limit: 0, evidence }, { lanes: [story.lane], ...waitingCosts(story) });
  const reply = lastReply(story);
  const told = reply === undefined ? {} : { error: reply };
  if (story.state === null || isSettled(story.state)) {
    const state = story.state ?? "settled; its history is older than what is kept";
    return [own("done", { state, ...(reply === undefined ? {} : { reply }) }, "nothing")];
  }
  if (story.is_being_handed_over) return [own("in_flight", {}, "nothing")];
  if (story.state === "held") return [own("message_held", told)];
  if (story.state === "unknown" && story.due_at === null) return [own("message_unknown", told)];
  const concerned = limits.filter((limit) => concerns(limit, story, destination));
  if (isLater(story, nowMs)) {
    const evidence = { due: story.due_at ?? "", tries: story.attempts, ...(reply === undefined ? {} : { reply }) };
    const isUnknown = story.state === "unknown" ? [own("message_unknown", told)] : [];
    return [...isUnknown, own("not_due", evidence), ...concerned];
  }
  const rate = (lane?.dispatchers ?? []).reduce((sum, { isAlive, pulse }) => sum + (isAlive ? pulse.rate_per_s : 0), 0);
  const turn = own("behind_others", { waiting: lane?.toSend ?? 0, per_s: tenth(rate) }, "nothing");
  return isFirstMine(concerned) ? [...concerned, turn] : [turn, ...concerned];
}

function waitingCosts({ state }: MessageStory): { readonly costs?: Limit["costs"] } {
  return state === null || isSettled(state) ? {} : { costs: costsOf(1) };
}

/** What binds it, and not only others: everything that is not small and not only worth knowing. */
function isFirstMine([first]: readonly Limit[]): boolean {
  return first !== undefined && first.rank < RANK.small;
}

function isLater({ due_at }: MessageStory, nowMs: number): boolean {
  return due_at !== null && Date.parse(due_at) > nowMs;
}

function concerns(limit: Limit, story: MessageStory, own: string | undefined): boolean {
  const { reason, lanes, destination, rank } = limit;
  if (rank === RANK.note) return false;
  if (lanes.length > 0 && !lanes.includes(story.lane)) return false;
  if (destination !== undefined && destination !== own) return false;
  if (reason.code === "destinations_failing") return false;
  // These hold back messages that are not made yet, and this one is.
  if (reason.code === "campaign_pace" || reason.code === "campaign_canary") return false;
  const { campaign } = reason.evidence;
  return campaign === undefined || campaign === story.campaign?.name;
}

function lastReply({ events }: MessageStory): string | undefined {
  return events.findLast(({ reply }) => reply !== null)?.reply?.replaceAll(/\p{Cc}/gu, " ");
}
