// `postlane campaign send-rest`.

import type { Pool } from "pg";
import { ALSO, createRest, type Also, type RestAnswer, type Standings } from "../../campaigns/send-rest.ts";
import { printCampaignId } from "../../mail/ids.ts";
import { STATES, WAITING_STATES } from "../../mail/state.ts";
import { sweepCanceled } from "../../upkeep/sweep.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf, harmless, printCount } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { campaignNamed, refusedAs } from "./run-campaign.ts";
import { withDatabase } from "./with-database.ts";

export interface SendRestOptions extends CommonOptions {
  readonly name?: string;
  readonly also?: string;
  readonly draft?: boolean;
}

export async function runCampaignSendRest(name: string, options: SendRestOptions): Promise<number> {
  const also = readAlso(options.also);
  const output = createOutput(options);
  const answer = await withDatabase(readConfig(options), (pool) => sendRest(pool, name, also, options, output));
  switch (answer.kind) {
    case "refused":
      throw failureOf(answer, options.name);
    case "nobody":
      output.answer({ id: null, recipients: 0, stood: {}, left: answer.left });
      output.print(`nobody of "${name}" is left: ${printStandings(answer.left)}`);
      break;
    case "made": {
      const { campaignId, name: made, status, recipients, stood, left } = answer;
      output.answer({ id: printCampaignId(campaignId), name: made, status, recipients, stood, left });
      output.print(
        `${made} (${printCampaignId(campaignId)}) sends to ${countOf(recipients, "recipient")}: ${printStandings(stood)}`,
      );
      if (Object.keys(left).length > 0) output.print(`not to ${printStandings(left)}`);
      if (status === "draft") output.print(`it is a draft; \`postlane campaign start ${made}\` starts it`);
    }
  }
  noteWaiting(answer.left, output);
  return EXIT_DONE;
}

function readAlso(text: string | undefined): readonly Also[] {
  const named = text === undefined ? [] : text.split(",").map((one) => one.trim());
  return named.map((one) => {
    const known = ALSO.find((state) => state === one);
    if (known === undefined) {
      throw misused(`--also ${harmless(one)}: give ${ALSO.join(", ")}. Who still waits gets it without a rest.`);
    }
    return known;
  });
}

async function sendRest(
  pool: Pool,
  name: string,
  also: readonly Also[],
  options: SendRestOptions,
  output: Output,
): Promise<RestAnswer> {
  const campaign = await campaignNamed(pool, name);
  // What was canceled a moment ago is counted as such first: until then it might still be on its way.
  await sweepCanceled(pool);
  const progress = createProgress("judged", "recipient", output);
  const onProgress = (judged: number, of: number) => progress.update(judged, judged / of);
  const answer = await createRest(pool, campaign.id, { name: options.name, also, isDraft: options.draft, onProgress });
  progress.end();
  return answer;
}

function failureOf({ why, root }: Extract<RestAnswer, { kind: "refused" }>, name: string | undefined): CommandFailure {
  switch (why) {
    case "status":
      return refusedAs(root.name, root.status, "send-rest");
    case "importing":
      return new CommandFailure(
        "list_busy",
        `The list of campaign "${root.name}" is being imported into, or another campaign is just being made of it. Try again when that is done.`,
      );
    case "name":
      return new CommandFailure(
        "name_taken",
        `There is a campaign "${harmless(name ?? "")}" already. Give another --name.`,
      );
  }
}

/** `3 canceled, 2 not accepted yet`. */
function printStandings(standings: Standings): string {
  const parts = [...STATES, "not_accepted", "forgotten"] as const;
  const found = parts.filter((one) => (standings[one] ?? 0) > 0);
  if (found.length === 0) return "its list is empty";
  return found.map((one) => `${printCount(standings[one]!)} ${WORDS[one] ?? one}`).join(", ");
}

const WORDS: Readonly<Record<string, string>> = {
  not_accepted: "added since",
  forgotten: "whose history is no longer kept",
};

function noteWaiting(left: Standings, { note }: Output): void {
  const waiting = WAITING_STATES.reduce((sum, state) => sum + (left[state] ?? 0), 0);
  if (waiting > 0)
    note(`${countOf(waiting, "recipient")} may still get it: a later rest is for those who end without it`);
}
