// `postlane message show|hold|release|cancel`.

import type { Pool } from "pg";
import { parseMessageId, printMessageId, type MessageId } from "../../mail/ids.ts";
import type { State } from "../../mail/state.ts";
import type { Config } from "../../platform/config.ts";
import { systemClock } from "../../platform/clock.ts";
import {
  cancelIfUnclaimed,
  holdIfUnclaimed,
  releaseHeld,
  releaseIfHeld,
  type ControlAnswer,
  type ControlPorts,
} from "../../queue/control-messages.ts";
import { tellStoriesOf, tellStory, type MessageStory, type StoryEvent } from "../../reports/message-story.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { eachHeldByRule } from "./held-by-rule.ts";
import { laneIdOf } from "./pausing.ts";
import { countOf, harmless, printSpan, printTime } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { readDomain } from "./run-destination.ts";
import { withDatabase } from "./with-database.ts";

export interface HoldOptions extends CommonOptions {
  readonly reason: string;
}

export async function runMessageShow(id: string, options: CommonOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const stories = await withDatabase(config, (pool) => findStories(pool, id, config));
  if (stories.length === 0) {
    throw new CommandFailure(
      "message_not_found",
      `There is no ${id} in this database. Check the id, and DATABASE_URL.`,
    );
  }
  output.answer(id.startsWith(SUBMISSION_PREFIX) ? { messages: stories } : stories[0]);
  for (const [index, story] of stories.entries()) {
    if (index > 0) output.print("");
    for (const line of printStory(story, systemClock.wallMs())) output.print(line);
  }
  return EXIT_DONE;
}

export async function runMessageHold(ids: readonly string[], options: HoldOptions): Promise<number> {
  return await control(ids, options, "held", (ports, id) => holdIfUnclaimed(ports, id, options.reason));
}

export interface ReleaseOptions extends CommonOptions {
  readonly destination?: string;
  readonly outlet?: string;
  readonly lane?: string;
}

export async function runMessageRelease(ids: readonly string[], options: ReleaseOptions): Promise<number> {
  const isByRule = options.destination !== undefined || options.outlet !== undefined;
  if (isByRule === ids.length > 0) {
    throw misused("Name messages by their ids, or what a rule has held by --destination or --outlet: one of the two.");
  }
  return isByRule ? await releaseHeldByRule(options) : await control(ids, options, "released", releaseIfHeld);
}

/** Page by page: what is released stays so when it is interrupted, and the same command goes on with the rest. */
async function releaseHeldByRule(options: ReleaseOptions): Promise<number> {
  const output = createOutput(options);
  const destination = options.destination === undefined ? undefined : readDomain(options.destination);
  let released = 0;
  const progress = createProgress("released", "message", output);
  await withDatabase(readConfig(options), async (pool) => {
    const laneId = options.lane === undefined ? undefined : await laneIdOf(pool, options.lane);
    await eachHeldByRule(pool, { laneId, destination, outlet: options.outlet }, async (ids) => {
      released += await releaseHeld(pool, ids);
      progress.update(released, undefined);
    });
  });
  progress.end();
  output.answer({ released });
  output.print(`${countOf(released, "message")} released`);
  return EXIT_DONE;
}

export async function runMessageCancel(ids: readonly string[], options: CommonOptions): Promise<number> {
  return await control(ids, options, "canceled", cancelIfUnclaimed);
}

const SUBMISSION_PREFIX = "sub_";

async function findStories(pool: Pool, id: string, config: Config): Promise<readonly MessageStory[]> {
  const [, submission] = /^sub_([1-9]\d{0,14})$/.exec(id) ?? [];
  if (submission !== undefined) return await tellStoriesOf(pool, Number(submission), config.lanes);
  const story = await tellStory(pool, readMessageId(id), config.lanes);
  return story === undefined ? [] : [story];
}

export function readMessageId(text: string): MessageId {
  const id = parseMessageId(text);
  if (id === undefined)
    throw misused(`"${text}" is no message id: expected msg_ and a number, as \`postlane send\` prints it.`);
  return id;
}

function printStory(story: MessageStory, nowMs: number): readonly string[] {
  const facts: readonly (readonly [string, string | null])[] = [
    ["state", stateWords(story)],
    ["to", story.recipient],
    ["lane", story.lane],
    [
      "campaign",
      story.campaign === null ? null : `${story.campaign.name} (${story.campaign.id}, ${story.campaign.status})`,
    ],
    ["submission", story.submission === null ? null : `${story.submission.id} by ${story.submission.door}`],
    ["metadata", story.metadata === null ? null : JSON.stringify(story.metadata)],
    ["accepted", printTime(story.accepted_at)],
    ["due", story.due_at === null ? null : `${printTime(story.due_at)} (${fromNow(story.due_at, nowMs)})`],
    ["expires", story.expires_at === null ? null : printTime(story.expires_at)],
    ["attempts", String(story.attempts)],
  ];
  const lines = facts.flatMap(([name, fact]) => (fact === null ? [] : [`  ${name.padEnd(11)}${harmless(fact)}`]));
  return [story.id, ...lines, ...story.events.map(printEvent)];
}

export function stateWords({ state, is_captured, is_being_handed_over }: MessageStory): string {
  if (state === null) return "settled; its history is older than what is kept";
  const words = is_captured ? `${state} (captured)` : state;
  return is_being_handed_over ? `${words}, being handed over` : words;
}

function printEvent({ at, attempt, kind, outlet, host, reply }: StoryEvent): string {
  const where = [outlet === null ? "" : `by ${outlet}`, host === null || host === "" ? "" : `at ${host}`];
  const parts = [printTime(at), `attempt ${attempt}`, kind, ...where].filter(Boolean);
  return `  ${parts.join(" ")}${reply === null ? "" : `: ${harmless(reply)}`}`;
}

function fromNow(iso: string, nowMs: number): string {
  const spanMs = new Date(iso).getTime() - nowMs;
  return spanMs > 0 ? `in ${printSpan(spanMs)}` : `${printSpan(-spanMs)} ago`;
}

/** One after the other, and each for itself: what was done to the first stays done when the second is refused. */
async function control(
  texts: readonly string[],
  options: CommonOptions,
  done: "held" | "released" | "canceled",
  act: (ports: ControlPorts, id: MessageId) => Promise<ControlAnswer>,
): Promise<number> {
  const ids = texts.map(readMessageId);
  const output = createOutput(options);
  const answers = await withDatabase(readConfig(options), async (pool) => {
    const found: { readonly id: string; readonly answer: ControlAnswer; readonly state: State | null }[] = [];
    for (const id of ids) found.push({ id: printMessageId(id), ...(await controlOne(pool, id, act)) });
    return found;
  });
  return tellAnswers(answers, done, output);
}

async function controlOne(
  pool: Pool,
  id: MessageId,
  act: (ports: ControlPorts, id: MessageId) => Promise<ControlAnswer>,
): Promise<{ readonly answer: ControlAnswer; readonly state: State | null }> {
  const answer = await act({ pool, clock: systemClock }, id);
  if (answer.kind === "done") return { answer, state: answer.to };
  if (answer.kind !== "not_waiting")
    return { answer, state: answer.kind === "being_handed_over" ? null : answer.state };
  const story = await tellStory(pool, id, {});
  if (story === undefined) {
    throw new CommandFailure("message_not_found", `There is no ${printMessageId(id)} in this database.`);
  }
  return { answer, state: story.state };
}

function tellAnswers(
  answers: readonly { readonly id: string; readonly answer: ControlAnswer; readonly state: State | null }[],
  done: string,
  output: Output,
): number {
  const isGood = ({ kind }: ControlAnswer): boolean => kind === "done" || kind === "is_so_already";
  output.answer({
    messages: answers.map(({ id, answer, state }) => ({ id, result: answer.kind, state })),
  });
  for (const { id, answer, state } of answers) {
    const line = `${id}: ${answerWords(answer, done, state)}`;
    if (isGood(answer)) output.print(line);
    else output.note(line);
  }
  return answers.every(({ answer }) => isGood(answer)) ? EXIT_DONE : EXIT_FAILED;
}

function answerWords(answer: ControlAnswer, done: string, state: State | null): string {
  switch (answer.kind) {
    case "done":
      return answer.to === done ? done : `${done}, ${answer.to}`;
    case "is_so_already":
      return `is ${answer.state} already`;
    case "refused":
      return `cannot be ${done}: it is ${answer.state}. See \`postlane message show\`.`;
    case "being_handed_over":
      return "is being handed over right now and cannot be stopped. See `postlane message show` for how it ends.";
    case "not_waiting":
      return `cannot be ${done}: it waits no longer${state === null ? "" : `, it is ${state}`}.`;
  }
}
