// `postlane campaign …`: the commands with their options, as in program.ts.

import type { Command } from "commander";
import { collect, group, leaf, ROWS_DEFAULT, wholeNumber, type End } from "./command-builder.ts";
import { COLUMN_WORDS } from "./list-commands.ts";
import type { CommonOptions } from "./output.ts";
import type { CampaignPreflightOptions } from "./run-campaign-preflight.ts";
import type { CampaignPreviewOptions } from "./run-campaign-preview.ts";
import type { CampaignCreateOptions } from "./run-campaign-create.ts";
import type { CampaignEditOptions } from "./run-campaign-edit.ts";
import type { CampaignSendOptions } from "./run-campaign-send.ts";
import type { CampaignTestOptions } from "./run-campaign-test.ts";
import type { StartOptions } from "./run-campaign-start.ts";
import type { CampaignStatusOptions } from "./run-campaign.ts";
import type { PeopleOptions } from "./run-report.ts";
import type { SendRestOptions } from "./run-send-rest.ts";

export function addCampaign(program: Command, end: End): void {
  const campaign = group(program, "campaign", "Send a template to a list, and steer it while it runs.");
  withStartOptions(
    leaf(
      campaign,
      "start",
      "Start a campaign that is a draft: all of its list is accepted, and goes at once, at an instant, or at a local time of each recipient's zone.",
      [
        "postlane campaign start march",
        'postlane campaign start march --at 2027-01-31T09:00:00Z --pace "50,000/hr"',
        "postlane campaign start march --local 2027-01-31T09:00 --time-zone Europe/Vienna",
        'postlane campaign start march --canary 1% --canary-wait "15 min" --canary-limit 5%',
      ],
    ).argument("<campaign>", "Its name or its id."),
  ).action(async (name: string, options: StartOptions & CommonOptions) => {
    const { runCampaignStart } = await import("./run-campaign-start.ts");
    end(await runCampaignStart(name, options));
  });
  const send = leaf(
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
    .requiredOption("--template <folder>", TEMPLATE_WORDS)
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
    .option("--column <name=type>", COLUMN_WORDS, collect)
    .option(
      "--rejects <file>",
      "Where rows that cannot be mailed are written, with line and reason; otherwise beside the list.",
    );
  withStartOptions(send).action(async (options: CampaignSendOptions) => {
    const { runCampaignSend } = await import("./run-campaign-send.ts");
    end(await runCampaignSend(options));
  });
  addCreate(campaign, end);
  addEdit(campaign, end);
  leaf(
    campaign,
    "status",
    "Print a campaign's balance sheet, its waves, pace and canary, and while it runs its rate, measured over one second, and the time that is left at that rate.",
    [
      "postlane campaign status march",
      "postlane campaign status march --watch",
      "postlane campaign status cmp_7 --json",
    ],
  )
    .argument("<campaign>", "Its name or its id.")
    .option("--watch", "Print it again every second, until Ctrl-C or the campaign's end.")
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
    "Stop handing over a campaign's messages, within a second and however many wait. They keep their place; what is on the wire is finished. Says a second later how many were handed over by then.",
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
  addPreflight(campaign, end);
  addPreviewAndTest(campaign, end);
}

/** What recipients would get, before they get it. */
function addPreflight(campaign: Command, end: End): void {
  leaf(
    campaign,
    "preflight",
    "Look at what all recipients would get before one gets it. Renders every message, or of more than a million an evenly spread sample, and reports missing data, broken links, sizes, who is suppressed, what big providers ask for, and how long it will take. Of a campaign that has started it looks at those of whom no message is made yet. Exit code 1: something must be mended first.",
    ["postlane campaign preflight march", "postlane campaign preflight march --sample 10000 --dns --json"],
  )
    .argument("<campaign>", "Its name or its id.")
    .option("--sample <rows>", "Look at so many recipients, spread evenly.", wholeNumber)
    .option("--dns", "Ask the DNS for what big providers want of the domain of From, as `postlane domain check` does.")
    .action(async (name: string, options: CampaignPreflightOptions) => {
      const { runCampaignPreflight } = await import("./run-campaign-preflight.ts");
      end(await runCampaignPreflight(name, options));
    });
}

function addPreviewAndTest(campaign: Command, end: End): void {
  leaf(
    campaign,
    "preview",
    "Show one recipient's copy as it would go out, in any status of the campaign. It has no DKIM signature, and an address to unsubscribe by that is nobody's.",
    [
      "postlane campaign preview march",
      "postlane campaign preview march --recipient ann@example.com --as html --out ann.html",
      "postlane campaign preview march --line 4711 --as raw",
    ],
  )
    .argument("<campaign>", "Its name or its id.")
    .option("--recipient <address>", "Whose copy; otherwise the first recipient's.")
    .option("--line <number>", "The copy of whoever stands in this line of the list's file.", wholeNumber)
    .option("--as <form>", "`text`, `html` or `raw`; otherwise the headers and the text.")
    .option("--out <file>", "Write it into a file: the raw source, unless --as says otherwise.")
    .action(async (name: string, options: CampaignPreviewOptions) => {
      const { runCampaignPreview } = await import("./run-campaign-preview.ts");
      end(await runCampaignPreview(name, options));
    });
  leaf(
    campaign,
    "test",
    "Send recipients' copies to oneself through the campaign's lane, marked as tests. They count for nothing in the campaign, and nobody can unsubscribe by one.",
    [
      "postlane campaign test march --to me@example.com",
      "postlane campaign test march --to me@example.com --recipient ann@example.com --recipient bob@example.com",
    ],
  )
    .argument("<campaign>", "Its name or its id.")
    .requiredOption("--to <address>", "Who gets them.")
    .option(
      "--recipient <address>",
      "Whose copy; may be given 20 times. Otherwise those of the first three of the list.",
      collect,
    )
    .action(async (name: string, options: CampaignTestOptions) => {
      const { runCampaignTest } = await import("./run-campaign-test.ts");
      end(await runCampaignTest(name, options));
    });
}

function addCreate(campaign: Command, end: End): void {
  leaf(
    campaign,
    "create",
    "Make a draft of a template and a list, to be looked at, changed and started later; nothing is queued. The list is a file, which is imported for this campaign alone, or a kept list by its name. The template's variables are checked against the list's columns. An import that was killed is taken up when the same is asked again.",
    [
      "postlane campaign create march --list members --template newsletter/",
      "postlane campaign create invitation --list guests.csv --column seats=number --template invitation@3",
    ],
  )
    .argument("<name>", "What the campaign is called.")
    .requiredOption("--list <name-or-file>", "A CSV file with a header row, or where there is none a kept list.")
    .requiredOption("--template <folder>", TEMPLATE_WORDS)
    .option("--lane <name>", "The lane it goes by.", "bulk")
    .option("--from <mailbox>", "The sender; otherwise that of the template, then `from` of the configuration.")
    .option(
      "--list-name <name>",
      "What people unsubscribe from, of A-Z, a-z, 0-9, `.`, `_` and `-`; otherwise the kept list, or like the file without its ending.",
    )
    .option(
      "--no-unsubscribe <reason>",
      "Send bulk mail without a way to unsubscribe; the reason is kept with the campaign.",
    )
    .option("--column <name=type>", COLUMN_WORDS, collect)
    .option(
      "--rejects <file>",
      "Where rows of a file that cannot be mailed are written, with line and reason; otherwise beside the file.",
    )
    .action(async (name: string, options: CampaignCreateOptions) => {
      const { runCampaignCreate } = await import("./run-campaign-create.ts");
      end(await runCampaignCreate(name, options));
    });
}

function addEdit(campaign: Command, end: End): void {
  leaf(
    campaign,
    "edit",
    "Give a campaign another template, also while it runs: it becomes a version of the campaign, checked against the list's columns, and goes to all who were not handed over yet. What is out stays as it was sent, and each message's story says which version it was. The same template again changes nothing.",
    ["postlane campaign edit march --template newsletter/", "postlane campaign edit cmp_7 --template newsletter@4"],
  )
    .argument("<campaign>", "Its name or its id.")
    .requiredOption("--template <folder>", TEMPLATE_WORDS)
    .option("--from <mailbox>", "The sender; otherwise that of the template, and where it has none, the one as before.")
    .action(async (name: string, options: CampaignEditOptions) => {
      const { runCampaignEdit } = await import("./run-campaign-edit.ts");
      end(await runCampaignEdit(name, options));
    });
}

const TEMPLATE_WORDS =
  "A folder with template.yaml, body.html and body.txt; or a pushed template's name, or name@version.";

/** When and how it goes. */
function withStartOptions(command: Command): Command {
  return command
    .option("--at <time>", "When, ISO 8601 with a zone; otherwise at once.")
    .option("--local <time>", "When, by the clock of each recipient's time zone, such as 2027-01-31T09:00.")
    .option("--time-zone <zone>", "Of recipients who name none, with --local; otherwise UTC.")
    .option("--pace <rate>", 'At most so many in a time, such as "50,000/hr"; otherwise as fast as relays take them.')
    .option("--canary <share>", "Send to this part of the list first, such as 1%, and wait for what becomes of it.")
    .option("--canary-wait <duration>", 'How long, once all of it was tried; otherwise "15 min".')
    .option("--canary-limit <share>", "Stop by itself when more of it fails; otherwise 5%.");
}
