// `postlane campaign …`: the commands with their options, as in program.ts.

import type { Command } from "commander";
import { group, leaf, ROWS_DEFAULT, wholeNumber, type End } from "./command-builder.ts";
import type { CommonOptions } from "./output.ts";
import type { CampaignSendOptions } from "./run-campaign-send.ts";
import type { CampaignStatusOptions } from "./run-campaign.ts";
import type { PeopleOptions } from "./run-report.ts";
import type { SendRestOptions } from "./run-send-rest.ts";

export function addCampaign(program: Command, end: End): void {
  const campaign = group(program, "campaign", "Send a template to a list, and steer it while it runs.");
  leaf(
    campaign,
    "send",
    "Create, check and start a campaign in one: the template's variables are checked against the list's columns before anything is queued, then the list is streamed into the database and the campaign starts. Bad rows go into the rejects file and stop nothing. The same list again under the same name queues nobody twice, also after an import that was killed.",
    [
      "postlane campaign send --list members.csv --template newsletter/",
      "postlane campaign send --list members.csv --template newsletter/ --name march --rejects march-rejects.csv",
      "postlane campaign send --list members.csv --template newsletter/ --name april --list-name newsletter",
    ],
  )
    .requiredOption("--list <file>", "A CSV file with a header row; delimiter and byte order mark are found out.")
    .requiredOption(
      "--template <folder>",
      "A folder with template.yaml, body.html and body.txt; or a pushed template's name.",
    )
    .option("--lane <name>", "The lane it goes by.", "bulk")
    .option("--name <name>", "What the campaign is called; otherwise like the list, without its ending.")
    .option(
      "--list-name <name>",
      "What people unsubscribe from, of A-Z, a-z, 0-9, `.`, `_` and `-`; otherwise like the list, without its ending. The next campaigns to the same people have the same.",
    )
    .option(
      "--no-unsubscribe <reason>",
      "Send bulk mail without a way to unsubscribe; the reason is kept with the campaign.",
    )
    .option("--from <mailbox>", "The sender; otherwise that of the template, then `from` of the configuration.")
    .option("--allow-empty", "Go on when a cell that the template needs is empty and has no default.")
    .option(
      "--rejects <file>",
      "Where rows that cannot be mailed are written, with line and reason; otherwise beside the list.",
    )
    .action(async (options: CampaignSendOptions) => {
      const { runCampaignSend } = await import("./run-campaign-send.ts");
      end(await runCampaignSend(options));
    });
  leaf(
    campaign,
    "status",
    "Print a campaign's balance sheet, and while it runs its rate, measured over one second, and the time that is left at that rate.",
    ["postlane campaign status march", "postlane campaign status cmp_7 --json"],
  )
    .argument("<campaign>", "Its name or its id.")
    .option("--no-rate", "Answer at once, without measuring the rate.")
    .action(async (name: string, options: CampaignStatusOptions) => {
      const { runCampaignStatus } = await import("./run-campaign.ts");
      end(await runCampaignStatus(name, options));
    });
  leaf(campaign, "list", "List the campaigns, the newest first.", [
    "postlane campaign list",
    "postlane campaign list --limit 100 --json",
  ])
    .option("--limit <rows>", "How many.", wholeNumber, ROWS_DEFAULT)
    .action(async (options: CommonOptions & { limit: number }) => {
      const { runCampaignList } = await import("./run-campaign.ts");
      end(await runCampaignList(options));
    });
  leaf(
    campaign,
    "pause",
    "Stop handing over a campaign's messages, within a second and however many wait. They keep their place; what is on the wire is finished.",
    ["postlane campaign pause march"],
  )
    .argument("<campaign>", "Its name or its id.")
    .action(async (name: string, options: CommonOptions) => {
      const { runCampaignPause } = await import("./run-campaign.ts");
      end(await runCampaignPause(name, options));
    });
  leaf(campaign, "resume", "Go on with a paused campaign.", ["postlane campaign resume march"])
    .argument("<campaign>", "Its name or its id.")
    .action(async (name: string, options: CommonOptions) => {
      const { runCampaignResume } = await import("./run-campaign.ts");
      end(await runCampaignResume(name, options));
    });
  leaf(
    campaign,
    "cancel",
    "Withdraw what a campaign has not handed over yet. In force at once; then the waiting messages are counted as canceled, which takes about a second for every 50,000. It cannot be taken back.",
    ["postlane campaign cancel march"],
  )
    .argument("<campaign>", "Its name or its id.")
    .action(async (name: string, options: CommonOptions) => {
      const { runCampaignCancel } = await import("./run-campaign.ts");
      end(await runCampaignCancel(name, options));
    });
  leaf(
    campaign,
    "report",
    "Print a campaign's whole balance sheet: what became of each row of its list, who got which version of its template, why some were suppressed, and the campaigns that send its rest; or with --people, the people behind one of its numbers as CSV.",
    [
      "postlane campaign report march",
      "postlane campaign report march --people bounced --out bounced.csv",
      "postlane campaign report march --people version:2",
    ],
  )
    .argument("<campaign>", "Its name or its id.")
    .option(
      "--people <what>",
      "Whom to list: rejected, double, accepted, not_accepted, a state of messages, or version:N.",
    )
    .option("--out <file>", "Where the list goes; otherwise to standard output.")
    .action(async (name: string, options: PeopleOptions) => {
      const { runCampaignReport } = await import("./run-report.ts");
      end(await runCampaignReport(name, options));
    });
  leaf(
    campaign,
    "send-rest",
    "Send a campaign to who did not get it: a new campaign with its template in force, to those who ended canceled or expired, or came into its list since. Nobody who may still get it from the campaign, or from an earlier rest of it, gets another one; nor does who was sent it, bounced, is unknown or suppressed, unless --also names that.",
    [
      "postlane campaign send-rest march",
      "postlane campaign send-rest march --name march-again --also bounced,unknown",
      "postlane campaign send-rest march --draft",
    ],
  )
    .argument("<campaign>", "Its name or its id.")
    .option("--name <name>", "What the new campaign is called; otherwise like the campaign, with -rest behind it.")
    .option("--also <states>", "Send again to these, too: of bounced, unknown, suppressed, sent and delivered.")
    .option("--draft", "Only make it; `postlane campaign start` starts it.")
    .action(async (name: string, options: SendRestOptions) => {
      const { runCampaignSendRest } = await import("./run-send-rest.ts");
      end(await runCampaignSendRest(name, options));
    });
}
