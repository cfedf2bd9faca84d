// `postlane campaign test`: chosen recipients' copies to oneself.

import { printCampaignId } from "../../mail/ids.ts";
import { systemClock } from "../../platform/clock.ts";
import { sendTestCopies, type SentTestCopy, type TestAnswer } from "../../preflight/send-test-copies.ts";
import { countDispatchers } from "../../reports/status-report.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, harmless } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { campaignNamed } from "./run-campaign.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignTestOptions extends CommonOptions {
  readonly to: string;
  readonly recipient?: readonly string[];
}

export async function runCampaignTest(name: string, options: CampaignTestOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  await withDatabase(config, async (pool) => {
    const campaign = await campaignNamed(pool, name);
    const { to, recipient: recipients } = options;
    const wish = { to, recipients, door: "cli", credential: "cli" } as const;
    const answer = await sendTestCopies({ pool, clock: systemClock, settings: config }, campaign, wish);
    const copies = sentOf(answer, campaign.name);
    output.answer({ test_of: printCampaignId(campaign.id), to, copies });
    output.print(`${countOf(copies.length, "test")} of ${campaign.name} to ${harmless(to)}:`);
    for (const { recipient, submission } of copies) output.print(`  ${submission}  as ${harmless(recipient)} gets it`);
    if ((await countDispatchers(pool, campaign.lane)) === 0) output.note("queued; run `postlane up` to send it");
  });
  return EXIT_DONE;
}

function sentOf(answer: TestAnswer, name: string): readonly SentTestCopy[] {
  switch (answer.kind) {
    case "sent":
      return answer.copies;
    case "empty":
      throw new CommandFailure("recipient_not_found", `Nobody is on the list of campaign "${name}".`);
    case "not_found": {
      const who = answer.recipients.map(harmless).join(", ");
      throw new CommandFailure(
        "recipient_not_found",
        `Not on the list of campaign "${name}": ${who}. Nothing was sent.`,
      );
    }
    case "too_many":
      throw new CommandFailure(
        "too_many",
        `At most ${answer.max} recipients' copies are sent at once. Nothing was sent.`,
      );
    case "failed": {
      const who = harmless(answer.recipient);
      const message = `The message to ${who} would be held: ${harmless(answer.problem)}. Nothing was sent.`;
      throw new CommandFailure("copy_failed", message);
    }
    case "refused": {
      const { code, message, hint } = answer.refusal;
      const sent =
        answer.copies.length === 0 ? "Nothing was sent" : `${countOf(answer.copies.length, "test")} sent before`;
      throw new CommandFailure(code, `The test was refused: ${message}. ${hint} ${sent}.`);
    }
  }
}
