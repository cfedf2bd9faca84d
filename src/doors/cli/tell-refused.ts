// What campaigns and lists were refused for: all that is wrong at once, a line each.

import type { CampaignRefused } from "../../campaigns/check-campaign.ts";
import { EXIT_FAILED } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { harmless } from "./printing.ts";

export function tellRefused(
  { code, problems, empty }: CampaignRefused,
  message: string,
  options: CommonOptions,
): number {
  if (options.json === true)
    createOutput(options).answer({ error: { code, message, problems, ...(empty && { empty }) } });
  else process.stderr.write(`postlane: ${[message, ...problems.map(harmless)].join("\n  ")}\n`);
  return EXIT_FAILED;
}
