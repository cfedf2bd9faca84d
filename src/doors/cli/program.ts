// Every command with its options and an example, and nothing of what it does: that is loaded when it runs. `--help` and
// docs/reference/cli.md are made from these definitions, and a test keeps the page in step.

import { Command } from "commander";
import { addCampaign } from "./campaign-commands.ts";
import {
  collect,
  group,
  leaf,
  ROWS_DEFAULT,
  sayOfConfig,
  wholeNumber,
  withExamples,
  type End,
} from "./command-builder.ts";
import { addList } from "./list-commands.ts";
import type { CapturedOptions } from "./run-captured.ts";
import type { DoctorOptions } from "./run-doctor-checks.ts";
import type { DomainCheckOptions } from "./run-domain-check.ts";
import type { EximGaugeOptions } from "./run-gauge.ts";
import type { GuardConfirmOptions } from "./run-guard.ts";
import type { KeyCreateOptions, KeyRotateOptions } from "./run-key.ts";
import type { InitOptions } from "./init-answers.ts";
import type { HoldOptions, ReleaseOptions } from "./run-message.ts";
import type { LaneReportOptions } from "./run-report.ts";
import type { PauseOptions } from "./pausing.ts";
import type { PostfixCheckOptions, PostfixInitOptions } from "./run-postfix.ts";
import type { AgentOptions, DispatcherOptions } from "./run-processes.ts";
import type { QueueShapeOptions } from "./run-queue.ts";
import type { SendOptions } from "./run-send.ts";
import type { ServiceInstallOptions } from "./run-service.ts";
import type { SendmailCommandOptions } from "./run-sendmail-command.ts";
import type { StatusOptions } from "./run-status.ts";
import type { TemplateCheckOptions, TemplatePushOptions, TemplateShowOptions } from "./run-template.ts";
import type { SuppressionAddOptions, SuppressionImportOptions, SuppressionListOptions } from "./run-suppression.ts";
import type { UnaccountedListOptions, UnaccountedResendOptions } from "./run-unaccounted.ts";
import type { UnknownDecisionOptions, UnknownListOptions } from "./run-unknown.ts";
import type { WebhookCreateOptions, WebhookReplayOptions } from "./run-webhook.ts";
import type { WitnessedDiskOptions, WitnessOptions } from "./run-witness.ts";
import { readVersion } from "../../platform/version.ts";
import { misused } from "./command-failure.ts";
import type { CommonOptions } from "./output.ts";

/** A site has few, and looks for one of them. */
const TEMPLATES_DEFAULT = 1000;
/** Of the instances of Postfix that Postlane makes. */
const INSTANCES_ROOT = "/var/spool/postlane-postfix";
const FIRST_PORT = 10_125;

export function createProgram(end: End): Command {
  const program = new Command("postlane")
    .description(
      "The mail engine of a website: every message a row in PostgreSQL, handed over at the pace the relay can take.",
    )
    .version(readVersion(), "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Print this help.")
    .helpCommand("help [command]", "Print the help of a command.")
    .showHelpAfterError("(add --help for what there is)")
    // `postlane sendmail -V id` is no question for the version.
    .enablePositionalOptions()
    .exitOverride();
  addProcesses(program, end);
  addInit(program, end);
  addService(program, end);
  addSend(program, end);
  addSendmail(program, end);
  addCampaign(program, end);
  addList(program, end);
  addTemplate(program, end);
  addMessage(program, end);
  addUnknown(program, end);
  addUnaccounted(program, end);
  addGuard(program, end);
  addLane(program, end);
  addOutlet(program, end);
  addDestination(program, end);
  addSuppression(program, end);
  addKey(program, end);
  addDomain(program, end);
  addQueue(program, end);
  addWebhook(program, end);
  addStatus(program, end);
  addExplain(program, end);
  addCaptured(program, end);
  addDoctor(program, end);
  addPostfix(program, end);
  addGauge(program, end);
  return withExamples(program, [
    "postlane up                      # run everything, mail is kept on this machine at first",
    "postlane send --to ann@example.com --subject Hello --text 'Hello Ann'",
    "postlane status --watch          # see it go",
  ]);
}

function addProcesses(program: Command, end: End): void {
  leaf(
    program,
    "up",
    "Run everything on this machine until it is told to stop: the database (embedded, unless DATABASE_URL names one), the front, the dispatchers of every lane, and the agents of relays on this machine. What dies is started again. SIGTERM and Ctrl-C finish what is open first.",
    ["postlane up", "postlane up --config /etc/postlane.yaml", "DATABASE_URL=postgresql://site@db/site postlane up"],
  ).action(async (options: CommonOptions) => {
    const { runUpCommand } = await import("./run-processes.ts");
    end(await runUpCommand(options));
  });
  leaf(
    program,
    "dispatcher",
    "Run one dispatcher of one lane against a database that runs already. `postlane up` does this by itself; alone it is for more machines or more dispatchers. Its log goes to standard error as JSON lines.",
    ["postlane dispatcher --lane bulk"],
  )
    .requiredOption("--lane <name>", "The lane whose mail it hands over.")
    .action(async (options: DispatcherOptions) => {
      const { runDispatcherCommand } = await import("./run-processes.ts");
      end(await runDispatcherCommand(options));
    });
  leaf(
    program,
    "agent",
    "Run beside a relay: once a second it writes a reading of the relay's queue, its disk and its machine to the database, follows the relay's log, brings failure notices home, and looks for evidence of what became of unknown messages. `postlane up` does this by itself for relays on the same machine. One for each outlet; a second one refuses as long as the first is well. Its log goes to standard error as JSON lines.",
    ["postlane agent --outlet news", "DATABASE_URL=postgresql://news_agent@db/site postlane agent --outlet news"],
  )
    .requiredOption("--outlet <name>", "The outlet whose relay it measures; it must have a `gauge`.")
    .action(async (options: AgentOptions) => {
      const { runAgentCommand } = await import("./run-processes.ts");
      end(await runAgentCommand(options));
    });
  leaf(
    program,
    "front",
    "Run the front alone against a database that runs already: upkeep, what comes back after hand-over, rescue of dead dispatchers, the alarm. `postlane up` does this by itself; one for each database is enough.",
    ["postlane front"],
  ).action(async (options: CommonOptions) => {
    const { runFrontCommand } = await import("./run-processes.ts");
    end(await runFrontCommand(options));
  });
}

function addInit(program: Command, end: End): void {
  const init = leaf(
    program,
    "init",
    "Write a first, commented postlane.yaml from the answers to four questions: how mail leaves, whom it is from, which database, which ways in. Then send one test mail, and say what comes next. At a terminal it asks; each question is also a flag. A file that is there is not replaced. A password goes into a file of its own that only its owner can read.",
    [
      "postlane init",
      "postlane init --mail-by postfix --from 'Example <hello@example.com>' --test-to ann@example.com --yes",
      "postlane init --mail-by provider --host smtp.example.com:587 --user site --password-file - --yes < password",
      "sudo postlane init --config /etc/postlane/postlane.yaml --data-dir /var/lib/postlane",
    ],
  )
    .option("--mail-by <way>", "postfix (of this machine), relay, provider, or capture: keep it on this machine.")
    .option("--host <host:port>", "Of the relay or provider; of the Postfix, 127.0.0.1:25 otherwise.")
    .option("--tls <mode>", "To it: off, opportunistic, required or implicit.")
    .option("--user <name>", "At the provider.")
    .option("--password-file <file>", "Holds the password there; - reads it from standard input and keeps it.")
    .option("--from <mailbox>", "Whom mail is from that does not say so itself.")
    .option("--database <address>", "embedded, or postgres://… of your own; otherwise DATABASE_URL, if it is set.")
    .option("--ways-in <list>", "Of http, smtp, sendmail, sql, with commas. With http a key is made and shown once.")
    .option("--data-dir <folder>", "For data_dir; otherwise ./postlane-data beside the configuration.")
    .option("--test-to <address>", "Where the test mail goes; with --yes otherwise to the address of --from.")
    .option("--no-test", "Send no test mail.")
    .option("--yes", "Ask nothing: what has no flag gets its default, and mail is kept on this machine.")
    .option("--force", "Replace what is there.")
    .action(async (options: InitOptions) => {
      const { runInit } = await import("./run-init.ts");
      end(await runInit(options));
    });
  sayOfConfig(init, "The file to write; otherwise postlane.yaml in the working directory.");
}

function addService(program: Command, end: End): void {
  const service = group(program, "service", "Run Postlane as a service of this machine.");
  const install = leaf(
    service,
    "install",
    "Print hardened units of systemd that run `postlane up` under a user of its own, and what has to be done for them. Only --apply, as root, does it: makes the user, lets it read the configuration and have the data directory, writes the units. A relay with `gauge: { type: postfix }` gets a second unit, for its agent. Starts nothing without --start; run again, it does only what is missing.",
    [
      "postlane service install",
      "sudo postlane service install --apply --start",
      "sudo postlane service install --config /etc/postlane/postlane.yaml --apply",
    ],
  )
    .option("--user <name>", "Whom it runs as; made where there is no such user.", "postlane")
    .option("--apply", "Do what is missing.")
    .option("--start", "With --apply: start it now, and at every boot.")
    .action(async (options: ServiceInstallOptions) => {
      const { runServiceInstall } = await import("./run-service.ts");
      end(await runServiceInstall(options));
    });
  sayOfConfig(install, "The service's configuration; otherwise /etc/postlane/postlane.yaml.");
}

function addSend(program: Command, end: End): void {
  leaf(
    program,
    "send",
    "Queue one email. Prints its submission's id and the id of the message to each recipient, once they are durable in the database; `postlane up` hands them over.",
    [
      "postlane send --to ann@example.com --subject Hello --text 'Hello Ann'",
      "postlane send --to ann@example.com --cc bob@example.com --subject Report --text - < report.txt",
      "postlane send --to ann@example.com --subject Invoice --text 'See there.' --attach invoice.pdf",
      "postlane send --to ann@example.com --subject Later --text Hi --at 2027-01-31T09:00:00Z --idempotency-key order-4711",
    ],
  )
    .requiredOption(
      "--to <mailbox>",
      'A recipient, "ann@example.com" or "Ann <ann@example.com>"; may be repeated.',
      collect,
    )
    .requiredOption("--subject <text>", "The subject.")
    .option("--text <text>", "The text; - reads it from standard input.")
    .option("--html <html>", "The HTML; - reads it from standard input. Give --text, --html, or both.")
    .option("--from <mailbox>", "The sender; otherwise `from` of the configuration.")
    .option("--lane <name>", "The lane it goes by.", "transactional")
    .option("--cc <mailbox>", "A recipient of a copy; may be repeated.", collect)
    .option("--bcc <mailbox>", "A recipient whom the others do not see; may be repeated.", collect)
    .option("--reply-to <mailbox>", "Where answers go; may be repeated.", collect)
    .option("--header <name: value>", 'One more header field, "X-Order: 4711"; may be repeated.', collect)
    .option("--attach <file>", "A file that goes with it; may be repeated.", collect)
    .option("--at <time>", "When to send it, ISO 8601 with a zone; otherwise now.")
    .option("--expires <time>", "When it is no longer worth sending; the lane's time to live holds anyway.")
    .option("--idempotency-key <key>", "Your own name for it: the same key never queues twice.")
    .action(async (options: SendOptions) => {
      const { runSend } = await import("./run-send.ts");
      end(await runSend(options));
    });
}

function addSendmail(program: Command, end: End): void {
  leaf(
    program,
    "sendmail",
    "Take a mail on standard input, as /usr/sbin/sendmail does: recipients as arguments or with -t from its header, -f for the sender, -F for the sender's name, -i to let a lone dot pass; exit codes are those of sysexits.h. What Postlane cannot take now is kept on this machine and handed over later. `postlane-sendmail` is the same, starts faster, and is what to link.",
    [
      "postlane sendmail -t -i < mail.eml",
      "postlane sendmail -f shop@example.com -- ann@example.com < mail.eml",
      "postlane sendmail --flush",
    ],
  )
    .argument("[words...]", "Options of sendmail, and recipients.")
    .option("--flush", "Hand over what was kept: your own mail, or with --config all of the spool that it names.")
    .allowUnknownOption()
    .action(async (words: string[], options: SendmailCommandOptions) => {
      const { runSendmailCommand } = await import("./run-sendmail-command.ts");
      end(await runSendmailCommand(words, options));
    });
}

function addMessage(program: Command, end: End): void {
  const message = group(program, "message", "Look at single messages, stop them, let them go.");
  leaf(
    message,
    "show",
    "Tell the whole story of a message: its state, what it waits for, and every attempt with the server's reply. With the id of a submission, of each of its messages.",
    ["postlane message show msg_4711", "postlane message show sub_42 --json"],
  )
    .argument("<id>", "Of a message (msg_…) or of a submission (sub_…).")
    .action(async (id: string, options: CommonOptions) => {
      const { runMessageShow } = await import("./run-message.ts");
      end(await runMessageShow(id, options));
    });
  leaf(
    message,
    "hold",
    "Stop messages that wait until they are released. A message that is being handed over cannot be stopped.",
    ["postlane message hold msg_4711", "postlane message hold msg_4711 msg_4712 --reason 'asks legal first'"],
  )
    .argument("<id...>", "Ids of messages (msg_…).")
    .option("--reason <text>", "Why; it is kept in the message's story.", "held by a person")
    .action(async (ids: string[], options: HoldOptions) => {
      const { runMessageHold } = await import("./run-message.ts");
      end(await runMessageHold(ids, options));
    });
  leaf(
    message,
    "release",
    "Let held messages go: they are due at once. Either single ones, or all that a rule has held because a destination or an outlet refused by policy; what a person has held stays.",
    ["postlane message release msg_4711", "postlane message release --destination example.com --lane bulk"],
  )
    .argument("[id...]", "Ids of messages (msg_…).")
    .option("--destination <domain>", "All that a rule has held for this recipient domain.")
    .option("--outlet <name>", "All that a rule has held after refusals that came by this outlet.")
    .option("--lane <name>", "With one of these two: only of this lane.")
    .action(async (ids: string[], options: ReleaseOptions) => {
      const { runMessageRelease } = await import("./run-message.ts");
      end(await runMessageRelease(ids, options));
    });
  leaf(
    message,
    "cancel",
    "Withdraw messages that wait. It cannot be taken back. A message that is being handed over cannot be stopped.",
    ["postlane message cancel msg_4711"],
  )
    .argument("<id...>", "Ids of messages (msg_…).")
    .action(async (ids: string[], options: CommonOptions) => {
      const { runMessageCancel } = await import("./run-message.ts");
      end(await runMessageCancel(ids, options));
    });
}

function addUnknown(program: Command, end: End): void {
  const unknown = group(
    program,
    "unknown",
    "Decide about messages whose final dot was written and never answered: they may have arrived or not.",
  );
  leaf(unknown, "list", "List the messages whose fate is unknown, with what the last attempt said.", [
    "postlane unknown list",
    "postlane unknown list --campaign march --limit 100",
  ])
    .option("--campaign <campaign>", "Only those of this campaign, by name or id.")
    .option("--limit <rows>", "How many.", wholeNumber, ROWS_DEFAULT)
    .action(async (options: UnknownListOptions) => {
      const { runUnknownList } = await import("./run-unknown.ts");
      end(await runUnknownList(options));
    });
  const decisions = [
    ["accept", "Count unknown messages as sent: the risk is that they never arrived."],
    ["resend", "Send unknown messages again, now: the risk is a second copy."],
  ] as const;
  for (const [verb, what] of decisions) {
    leaf(unknown, verb, what, [`postlane unknown ${verb} msg_4711`, `postlane unknown ${verb} --all --campaign march`])
      .argument("[id...]", "Ids of messages (msg_…).")
      .option("--all", "All of them.")
      .option("--campaign <campaign>", "With --all: only those of this campaign, by name or id.")
      .action(async (ids: string[], options: UnknownDecisionOptions) => {
        const { runUnknownDecision } = await import("./run-unknown.ts");
        end(await runUnknownDecision(verb, ids, options));
      });
  }
}

function addUnaccounted(program: Command, end: End): void {
  const unaccounted = group(
    program,
    "unaccounted",
    "Decide about messages that a relay took and never confirmed: they may have arrived or not.",
  );
  leaf(unaccounted, "list", "List the messages that their relay never confirmed in the time that it had.", [
    "postlane unaccounted list",
    "postlane unaccounted list --outlet news --limit 100",
  ])
    .option("--outlet <name>", "Only those of this outlet.")
    .option("--limit <rows>", "How many.", wholeNumber, ROWS_DEFAULT)
    .action(async (options: UnaccountedListOptions) => {
      const { runUnaccountedList } = await import("./run-unaccounted.ts");
      end(await runUnaccountedList(options));
    });
  leaf(
    unaccounted,
    "resend",
    "Send unaccounted messages again, now, when their relay is lost for good. The risk is a second copy of each that had arrived; without --yes it only says how many there are.",
    ["postlane unaccounted resend msg_4711 --yes", "postlane unaccounted resend --outlet news --yes"],
  )
    .argument("[id...]", "Ids of messages (msg_…).")
    .option("--outlet <name>", "All those of this outlet.")
    .option("--yes", "Accept that some may arrive a second time.")
    .action(async (ids: string[], options: UnaccountedResendOptions) => {
      const { runUnaccountedResend } = await import("./run-unaccounted.ts");
      end(await runUnaccountedResend(ids, options));
    });
}

function addGuard(program: Command, end: End): void {
  const guard = group(
    program,
    "guard",
    "Look at what the guard holds in a database that was restored, cloned or moved, and let it go.",
  );
  leaf(
    guard,
    "status",
    "Say what the guard holds and why: what the database remembers, which server it is, what this machine knows, and which messages may have been sent already in the time that the database lacks.",
    ["postlane guard status"],
  ).action(async (options: CommonOptions) => {
    const { runGuardStatus } = await import("./run-guard.ts");
    end(await runGuardStatus(options));
  });
  leaf(
    guard,
    "confirm",
    "Confirm that this database is the one to send from, and let go what the guard holds. It shows what may go out a second time and asks once more; without a terminal, say --yes.",
    ["postlane guard confirm", "postlane guard confirm --yes"],
  )
    .option("--yes", "Do not ask.")
    .action(async (options: GuardConfirmOptions) => {
      const { runGuardConfirm } = await import("./run-guard.ts");
      end(await runGuardConfirm(options));
    });
}

function addLane(program: Command, end: End): void {
  const lane = group(program, "lane", "Look at lanes, pause and resume them.");
  leaf(lane, "list", "List the lanes and what they promise.", ["postlane lane list"]).action(
    async (options: CommonOptions) => {
      const { runLaneList } = await import("./run-lane.ts");
      end(await runLaneList(options));
    },
  );
  leaf(
    lane,
    "pause",
    "Stop handing over a lane's mail, within a second. It goes on accepting; what is on the wire is finished.",
    ["postlane lane pause bulk"],
  )
    .argument("<lane>", "Its name.")
    .action(async (name: string, options: CommonOptions) => {
      const { runLanePause } = await import("./run-lane.ts");
      end(await runLanePause(name, options));
    });
  leaf(lane, "resume", "Go on with a paused lane.", ["postlane lane resume bulk"])
    .argument("<lane>", "Its name.")
    .action(async (name: string, options: CommonOptions) => {
      const { runLaneResume } = await import("./run-lane.ts");
      end(await runLaneResume(name, options));
    });
  leaf(
    lane,
    "report",
    "Print a lane's balance sheet by the day (UTC) on which its messages were accepted; or with --people, those in one state as CSV.",
    [
      "postlane lane report bulk",
      "postlane lane report bulk --day 2027-01-31",
      "postlane lane report bulk --day 2027-01-31 --people bounced --out bounced.csv",
    ],
  )
    .argument("<lane>", "Its name.")
    .option("--day <day>", "Only this day, as 2027-01-31.")
    .option("--limit <days>", "How many days are shown.", wholeNumber, ROWS_DEFAULT)
    .option("--people <state>", "Whom to list: a state of messages.")
    .option("--out <file>", "Where the list goes; otherwise to standard output.")
    .action(async (name: string, options: LaneReportOptions) => {
      const { runLaneReport } = await import("./run-report.ts");
      end(await runLaneReport(name, options));
    });
}

function addOutlet(program: Command, end: End): void {
  const outlet = group(program, "outlet", "Look at the ways out, pause and resume them.");
  leaf(
    outlet,
    "list",
    "List the outlets: which lanes use each, how many hand-overs it may have open, and what stops or limits it.",
    ["postlane outlet list"],
  ).action(async (options: CommonOptions) => {
    const { runOutletList } = await import("./run-outlet.ts");
    end(await runOutletList(options));
  });
  leaf(
    outlet,
    "pause",
    "Stop handing over by an outlet, within a second. Its mail waits, or goes by the lane's other outlets; what is on the wire is finished.",
    ["postlane outlet pause relay", "postlane outlet pause relay --lane bulk"],
  )
    .argument("<outlet>", "Its name.")
    .option("--lane <name>", "Only for this lane's mail.")
    .action(async (name: string, options: PauseOptions) => {
      const { runOutletPause } = await import("./run-outlet.ts");
      end(await runOutletPause(name, options));
    });
  leaf(
    outlet,
    "resume",
    "Go on with an outlet that a person or a rule has paused. Says how many messages a rule has held meanwhile, and how to release them.",
    ["postlane outlet resume relay"],
  )
    .argument("<outlet>", "Its name.")
    .option("--lane <name>", "Only for this lane's mail; otherwise whatever was paused.")
    .action(async (name: string, options: PauseOptions) => {
      const { runOutletResume } = await import("./run-outlet.ts");
      end(await runOutletResume(name, options));
    });
}

function addDestination(program: Command, end: End): void {
  const destination = group(
    program,
    "destination",
    "Look at recipient domains that are stopped, pause and resume them.",
  );
  leaf(
    destination,
    "list",
    "List the destinations that a person or a rule has stopped, and those whose mail waits because they fail or have not proven themselves, each with the reason and with what waits.",
    ["postlane destination list", "postlane destination list --json"],
  ).action(async (options: CommonOptions) => {
    const { runDestinationList } = await import("./run-destination.ts");
    end(await runDestinationList(options));
  });
  leaf(
    destination,
    "pause",
    "Stop handing over mail to a recipient domain, within a second. Its messages wait and keep their place.",
    ["postlane destination pause example.com", "postlane destination pause example.com --lane bulk"],
  )
    .argument("<domain>", "What stands behind the @.")
    .option("--lane <name>", "Only for this lane's mail.")
    .action(async (domain: string, options: PauseOptions) => {
      const { runDestinationPause } = await import("./run-destination.ts");
      end(await runDestinationPause(domain, options));
    });
  leaf(
    destination,
    "resume",
    "Go on with a destination that a person or a rule has paused. Says how many messages a rule has held meanwhile, and how to release them.",
    ["postlane destination resume example.com"],
  )
    .argument("<domain>", "What stands behind the @.")
    .option("--lane <name>", "Only for this lane's mail; otherwise whatever was paused.")
    .action(async (domain: string, options: PauseOptions) => {
      const { runDestinationResume } = await import("./run-destination.ts");
      end(await runDestinationResume(domain, options));
    });
}

function addKey(program: Command, end: End): void {
  const key = group(program, "key", "Make, list, revoke and rotate the keys by which a site submits.");
  leaf(
    key,
    "create",
    "Make a key, for HTTP and as the password of SMTP. It is printed once, alone on standard output; what is kept is a hash of it. Its rights never change: for others make another key.",
    [
      "postlane key create --name shop",
      "postlane key create --name newsletter --lane bulk --from-domain news.example.com --rate 100/s",
      "postlane key create --name monitoring --scope read --expires '90 days'",
    ],
  )
    .requiredOption("--name <name>", "Whose key it is, for people; two may have the same.")
    .option(
      "--scope <scope>",
      "send: submit, and read and cancel what it submitted. read: read everything. operate: everything.",
      "send",
    )
    .option(
      "--lane <name>",
      "A lane that it may use; may be repeated, the first is its default. Otherwise all.",
      collect,
    )
    .option(
      "--from-domain <domain>",
      "A domain that its mail may be from; may be repeated. A subdomain is another domain. Otherwise any.",
      collect,
    )
    .option("--rate <rate>", 'How many submissions it may make, "100/s" or "10,000/hr", of all fronts together.')
    .option("--no-notices", "No failure notices for what it submits by SMTP or sendmail.")
    .option("--no-dedup", "SMTP does not recognise repeated mail by its content.")
    .option("--expires <span>", 'How long it lives, "30 days"; otherwise until it is revoked.')
    .action(async (options: KeyCreateOptions) => {
      const { runKeyCreate } = await import("./run-key.ts");
      end(await runKeyCreate(options));
    });
  leaf(key, "list", "List the keys with their rights, when each was last used, and when it ends or has ended.", [
    "postlane key list",
  ]).action(async (options: CommonOptions) => {
    const { runKeyList } = await import("./run-key.ts");
    end(await runKeyList(options));
  });
  leaf(
    key,
    "revoke",
    "End a key for good. Every front refuses it within a second; what it has submitted goes its way.",
    ["postlane key revoke 7"],
  )
    .argument("<key>", "Its id from `postlane key list`.")
    .action(async (id: string, options: CommonOptions) => {
      const { runKeyRevoke } = await import("./run-key.ts");
      end(await runKeyRevoke(id, options));
    });
  leaf(
    key,
    "rotate",
    "Make a new key with the rights of an old one, which ends after a grace. Both share the rate and the idempotency keys, and the new one may read and cancel what the old one submitted.",
    ["postlane key rotate 7", "postlane key rotate 7 --keep '2 h' --expires '90 days'"],
  )
    .argument("<key>", "Its id from `postlane key list`.")
    .option("--keep <span>", "How long the old one is still good; 0 s ends it at once.", "1 day")
    .option("--expires <span>", "How long the new one lives, or never; needed when the old one ends by itself.")
    .action(async (id: string, options: KeyRotateOptions) => {
      const { runKeyRotate } = await import("./run-key.ts");
      end(await runKeyRotate(id, options));
    });
}

function addDomain(program: Command, end: End): void {
  const domain = group(program, "domain", "Sign mail of your domains (DKIM), and check what the DNS says of them.");
  leaf(
    domain,
    "add",
    "Make a pair of DKIM keys for a domain, RSA-2048 and Ed25519, and print the DNS records to publish. The private keys are kept in the database, sealed under dkim.encryption_key; where none is configured, one is made in data_dir. They sign once `postlane domain check` has seen their records.",
    ["postlane domain add example.com"],
  )
    .argument(
      "<name>",
      "The domain of From; it signs for the domains below it too, unless they have keys of their own.",
    )
    .action(async (name: string, options: CommonOptions) => {
      const { runDomainAdd } = await import("./run-domain.ts");
      end(await runDomainAdd(name, options));
    });
  leaf(
    domain,
    "show",
    "Show the keys of a domain and the DNS records that belong to them, as lines of a zone file and as name and value for the form of a provider; and of retired keys until when their records are to stay.",
    ["postlane domain show", "postlane domain show example.com --json | jq -r .domains[].keys[].record.zone_line"],
  )
    .argument("[name]", "Otherwise all.")
    .action(async (name: string | undefined, options: CommonOptions) => {
      const { runDomainShow } = await import("./run-domain.ts");
      end(await runDomainShow(name, options));
    });
  leaf(
    domain,
    "check",
    "Ask the DNS for all that Gmail, Yahoo and Outlook want to see of a domain: DKIM, SPF, DMARC, alignment, the name of the sending address, and where answers and failure notices go. Each line says how it stands, what it means and what to publish. New keys whose record is there sign from then on. Exit code 1: something that is required is missing, wrong, or could not be asked.",
    ["postlane domain check example.com", "postlane domain check example.com --ip 192.0.2.1 --ip 2001:db8::1"],
  )
    .argument("<name>", "The domain of From.")
    .option(
      "--ip <address>",
      "An address that mail leaves from; may be repeated. Otherwise those of the outlets' hosts, where they are public, as a guess.",
      collect,
    )
    .action(async (name: string, options: DomainCheckOptions) => {
      const { runDomainCheck } = await import("./run-domain-check.ts");
      end(await runDomainCheck(name, options));
    });
  leaf(
    domain,
    "rotate",
    "Make a new pair of keys under new selectors. The old one signs on until `postlane domain check` has seen the new records; then it is retired, and its records are to stay published for mail that is under way.",
    ["postlane domain rotate example.com"],
  )
    .argument("<name>", "The domain.")
    .action(async (name: string, options: CommonOptions) => {
      const { runDomainRotate } = await import("./run-domain.ts");
      end(await runDomainRotate(name, options));
    });
  leaf(
    domain,
    "activate",
    "Sign with the new keys of a domain from now on, without looking for their records: for a DNS that cannot be asked from here. A signature whose record is not there fails.",
    ["postlane domain activate example.com"],
  )
    .argument("<name>", "The domain.")
    .action(async (name: string, options: CommonOptions) => {
      const { runDomainActivate } = await import("./run-domain.ts");
      end(await runDomainActivate(name, options));
    });
  leaf(domain, "list", "List the domains that have keys, with the selectors that sign, wait and are retired.", [
    "postlane domain list",
  ]).action(async (options: CommonOptions) => {
    const { runDomainList } = await import("./run-domain.ts");
    end(await runDomainList(options));
  });
  leaf(
    domain,
    "remove",
    "Remove a domain with all its keys; its mail goes out unsigned within seconds, unless a domain above it has keys. It cannot be taken back. Leave the records in the DNS while mail is under way.",
    ["postlane domain remove example.com"],
  )
    .argument("<name>", "The domain.")
    .action(async (name: string, options: CommonOptions) => {
      const { runDomainRemove } = await import("./run-domain.ts");
      end(await runDomainRemove(name, options));
    });
}

function addSuppression(program: Command, end: End): void {
  const suppression = group(program, "suppression", "Say who must not get mail, and see why.");
  leaf(
    suppression,
    "add",
    "Suppress an address, or all of a domain: from now on no mail goes there, also none that waits already. Bounces that say that there is no such address add themselves. A complaint without a scope counts as these do: the first one holds for bulk, the second within 30 days for everything, for 90 days each.",
    [
      "postlane suppression add ann@example.com",
      "postlane suppression add @example.com --scope bulk --days 30",
      "postlane suppression add ann@example.com --scope list --list news --reason unsubscribe",
      "postlane suppression add ann@example.com --reason complaint",
    ],
  )
    .argument("<address>", "local@domain, or @domain for all of a domain, but not of those below it.")
    .option("--scope <scope>", "everything, bulk (lanes of that priority) or list; otherwise everything.")
    .option("--list <name>", "With scope list: mail to this list alone.")
    .option("--reason <reason>", "bounce, complaint, unsubscribe, manual or import.", "manual")
    .option("--days <days>", "It ends by itself after so many; otherwise never.", wholeNumber)
    .action(async (address: string, options: SuppressionAddOptions) => {
      const { runSuppressionAdd } = await import("./run-suppression.ts");
      end(await runSuppressionAdd(address, options));
    });
  leaf(
    suppression,
    "remove",
    "Let mail go to an address or a domain again. What was settled as suppressed stays so. Also of one whose address was erased.",
    ["postlane suppression remove ann@example.com", "postlane suppression remove ann@example.com --scope bulk"],
  )
    .argument("<address>", "local@domain, or @domain.")
    .option("--scope <scope>", "Only this one: everything, bulk or list; otherwise all.")
    .option("--list <name>", "Only this list.")
    .action(async (address: string, options: CommonOptions & { scope?: string; list?: string }) => {
      const { runSuppressionRemove } = await import("./run-suppression.ts");
      end(await runSuppressionRemove(address, options));
    });
  leaf(
    suppression,
    "list",
    "List who is suppressed, the newest first; or with an address what holds for it, its domain included, also when it was erased. Then the exit code is 1 if nothing does.",
    [
      "postlane suppression list ann@example.com",
      "postlane suppression list --domain example.com --reason bounce --since 2027-01-31",
    ],
  )
    .argument("[address]", "local@domain, or @domain.")
    .option("--domain <domain>", "Only addresses of this domain, and itself.")
    .option("--reason <reason>", "Only for this reason.")
    .option("--list <name>", "Only of this list.")
    .option("--since <time>", "Only from this time on: a day, or ISO 8601 with a zone.")
    .option("--after <place>", "The next page, as the page before has named it.")
    .option("--limit <rows>", "How many.", wholeNumber, ROWS_DEFAULT)
    .action(async (address: string | undefined, options: SuppressionListOptions) => {
      const { runSuppressionList } = await import("./run-suppression.ts");
      end(await runSuppressionList(address, options));
    });
  leaf(
    suppression,
    "import",
    "Put a CSV file on the suppression list: columns address (or email), scope, list, reason and days, in this order if there is no header; a single column of addresses will do. What a row leaves out is as the options say; a reason that is none of Postlane's, too. A bad row is told with its line and stops nothing. Doing it again changes nothing.",
    [
      "postlane suppression import unsubscribed.csv",
      "postlane suppression import bounced.csv --scope everything --reason bounce --days 90",
    ],
  )
    .argument("<file>", "UTF-8, with commas, semicolons, tabs or bars between.")
    .option("--scope <scope>", "Of rows that name none: everything, bulk or list.", "bulk")
    .option("--list <name>", "Of rows with scope list that name none.")
    .option("--reason <reason>", "Of rows that name none.", "import")
    .option("--days <days>", "Of rows that name none: how long it holds; otherwise for ever.", wholeNumber)
    .action(async (file: string, options: SuppressionImportOptions) => {
      const { runSuppressionImport } = await import("./run-suppression.ts");
      end(await runSuppressionImport(file, options));
    });
  leaf(
    suppression,
    "export",
    "Print the suppression list as CSV that can be imported again. Whose address was erased is told by the hash alone. A cell that begins as a formula of a spreadsheet gets an apostrophe in front. With --json one object a line.",
    ["postlane suppression export > suppressed.csv", "postlane suppression export --json | wc -l"],
  ).action(async (options: CommonOptions) => {
    const { runSuppressionExport } = await import("./run-suppression.ts");
    end(await runSuppressionExport(options));
  });
  leaf(
    suppression,
    "erase",
    "Forget the address and keep the promise: what stays is a keyed hash, which nobody can turn back, and by which the address is known when mail to it comes again.",
    ["postlane suppression erase ann@example.com"],
  )
    .argument("<address>", "local@domain.")
    .action(async (address: string, options: CommonOptions) => {
      const { runSuppressionErase } = await import("./run-suppression.ts");
      end(await runSuppressionErase(address, options));
    });
}

function addQueue(program: Command, end: End): void {
  const queue = group(program, "queue", "Look at what waits.");
  leaf(
    queue,
    "shape",
    "Show where mail is stuck: what waits here by destination and age, and what waits in each relay that is measured. Bounded in rows and in time; says where it looked at a part only.",
    ["postlane queue shape", "postlane queue shape --lane bulk --limit 50"],
  )
    .option("--lane <name>", "Only what waits in this lane.")
    .option("--limit <rows>", "How many destinations.", wholeNumber, ROWS_DEFAULT)
    .action(async (options: QueueShapeOptions) => {
      const { runQueueShape } = await import("./run-queue.ts");
      end(await runQueueShape(options));
    });
}

function addWebhook(program: Command, end: End): void {
  const webhook = group(program, "webhook", "Have a URL of yours told what becomes of messages.");
  leaf(
    webhook,
    "create",
    "Have a URL told of events from now on, signed as Standard Webhooks has it. Prints the secret, this once. An address inside this machine or a private network is refused unless `webhooks.allow` of the configuration names it.",
    [
      "postlane webhook create https://example.com/hooks --events bounced,delivered",
      "postlane webhook create https://example.com/hooks --events all --lane transactional --name shop",
    ],
  )
    .argument("<url>", "Where events are posted; https.")
    .requiredOption(
      "--events <list>",
      "Which, with commas between: sent, delivered, delivery_delayed, bounced, held, unknown, expired, canceled, suppressed; or all.",
    )
    .option("--lane <name>", "Only of this lane's messages; may be repeated.", collect)
    .option("--name <name>", "What you call it.")
    .action(async (url: string, options: WebhookCreateOptions) => {
      const { runWebhookCreate } = await import("./run-webhook.ts");
      end(await runWebhookCreate(url, options));
    });
  leaf(
    webhook,
    "list",
    "List the webhooks: what each is told, whether it takes it, how much waits for it and how much was given up.",
    ["postlane webhook list"],
  ).action(async (options: CommonOptions) => {
    const { runWebhookList } = await import("./run-webhook.ts");
    end(await runWebhookList(options));
  });
  const changes = [
    ["pause", "Stop sending to a webhook. What happens is kept for it, and sent when it is resumed."],
    ["resume", "Go on with a webhook that was paused or disabled, at once."],
    ["remove", "Remove a webhook, with all that waits for it. It cannot be taken back."],
  ] as const;
  for (const [verb, what] of changes) {
    leaf(webhook, verb, what, [`postlane webhook ${verb} whk_1`])
      .argument("<webhook>", "Its id (whk_…).")
      .action(async (id: string, options: CommonOptions) => {
        const { runWebhookChange } = await import("./run-webhook.ts");
        end(await runWebhookChange(verb, id, options));
      });
  }
  leaf(
    webhook,
    "rotate",
    "Give a webhook a new secret, and print it this once. For 24 hours the one before signs as well, so that whoever verifies has time to change.",
    ["postlane webhook rotate whk_1"],
  )
    .argument("<webhook>", "Its id (whk_…).")
    .action(async (id: string, options: CommonOptions) => {
      const { runWebhookRotate } = await import("./run-webhook.ts");
      end(await runWebhookRotate(id, options));
    });
  leaf(
    webhook,
    "failed",
    "List the deliveries that failed, the latest first, with the last answer: those that are tried again, and those that were given up.",
    ["postlane webhook failed", "postlane webhook failed whk_1 --limit 100 --json"],
  )
    .argument("[webhook]", "Only of this one (whk_…).")
    .option("--limit <rows>", "How many.", wholeNumber, ROWS_DEFAULT)
    .action(async (id: string | undefined, options: CommonOptions & { limit: number }) => {
      const { runWebhookFailed } = await import("./run-webhook.ts");
      end(await runWebhookFailed(id, options));
    });
  leaf(
    webhook,
    "replay",
    "Send again, under the same ids: what was given up, or with --since also what was taken since then. What still waits is not doubled.",
    ["postlane webhook replay whk_1 --failed", "postlane webhook replay whk_1 --since 2027-01-31T09:00:00Z"],
  )
    .argument("<webhook>", "Its id (whk_…).")
    .option("--failed", "What was given up, for as long as it is kept.")
    .option("--since <time>", "All events from this time on, ISO 8601 with a zone, at most 30 days ago.")
    .action(async (id: string, options: WebhookReplayOptions) => {
      const { runWebhookReplay } = await import("./run-webhook.ts");
      end(await runWebhookReplay(id, options));
    });
}

function addTemplate(program: Command, end: End): void {
  const template = group(program, "template", "Check templates, and push versions of them for emails to name.");
  const shared = [
    "--partials <folder>",
    "Partials that several templates share; what is used of them goes into the template.",
  ] as const;
  leaf(
    template,
    "push",
    "Push a folder as a template: the same texts and attachments as the latest version are that version, others a new one. A version never changes. Where there is no body.txt it is made from body.html. Nothing is pushed while something is wrong with it.",
    ["postlane template push welcome/", "postlane template push mails/welcome --name welcome --partials mails/shared"],
  )
    .argument("<folder>", "With template.yaml, body.html and body.txt, and partials/ for what they use.")
    .option("--name <name>", "What it is called; otherwise like the folder.")
    .option(...shared)
    .action(async (dir: string, options: TemplatePushOptions) => {
      const { runTemplatePush } = await import("./run-template.ts");
      end(await runTemplatePush(dir, options));
    });
  leaf(
    template,
    "check",
    "Check a folder, without the database: everything that is wrong, with file, line and column. With variables it is filled in as well: a variable that is missing, a filter's misuse and a loop without measure are told in their places.",
    ["postlane template check welcome/", "postlane template check welcome/ --variables sample.json"],
  )
    .argument("<folder>", "With template.yaml, body.html and body.txt, and partials/ for what they use.")
    .option("--variables <file>", "A JSON object to fill the template in with.")
    .option(...shared)
    .action(async (dir: string, options: TemplateCheckOptions) => {
      const { runTemplateCheck } = await import("./run-template.ts");
      end(await runTemplateCheck(dir, options));
    });
  leaf(template, "list", "List the templates by name, each with its latest version and what an email must bring.", [
    "postlane template list",
  ])
    .option("--limit <rows>", "How many.", wholeNumber, TEMPLATES_DEFAULT)
    .action(async (options: CommonOptions & { readonly limit: number }) => {
      const { runTemplateList } = await import("./run-template.ts");
      end(await runTemplateList(options));
    });
  leaf(
    template,
    "show",
    "Print the texts of a version, also the text part that was made from the HTML, and the names of its attachments; or what they become with variables.",
    ["postlane template show welcome", "postlane template show welcome@3 --render --variables sample.json"],
  )
    .argument("<template>", "Its name, for the latest version, or name@version.")
    .option("--render", "Fill it in.")
    .option("--variables <file>", "A JSON object to fill it in with.")
    .action(async (given: string, options: TemplateShowOptions) => {
      const { runTemplateShow } = await import("./run-template.ts");
      end(await runTemplateShow(given, options));
    });
}

function addStatus(program: Command, end: End): void {
  leaf(
    program,
    "status",
    "Show where all mail is: each lane's backlog, what is in flight, the rate, the longest wait, what limits it, and the balance sheet. Asks little of the database, so it may be watched while millions are queued.",
    ["postlane status", "postlane status --watch", "postlane status --json | jq .totals.states"],
  )
    .option("--watch", "Again every second, until Ctrl-C.")
    .option("--count", "Count every message and hold the books against it. Reads whole tables: not for a busy moment.")
    .action(async (options: StatusOptions) => {
      const { runStatus } = await import("./run-status.ts");
      end(await runStatus(options));
    });
}

function addExplain(program: Command, end: End): void {
  leaf(
    program,
    "explain",
    "Name what limits now, in order: each reason with its evidence, what it costs, and what would lift it; or that nothing limits, and when the backlog is gone. Of a message: why it is not out yet and when it is next tried. Writes nothing, and answers within five seconds also while the disk or the database stands still, from what the front of this machine last saw.",
    [
      "postlane explain",
      "postlane explain lane bulk",
      "postlane explain destination example.com",
      "postlane explain message msg_4711 --json",
    ],
  )
    .argument("[kind]", "lane, outlet, destination or message; otherwise everything.")
    .argument("[name]", "Its name, or the id of a message (msg_…).")
    .action(async (kind: string | undefined, name: string | undefined, options: CommonOptions) => {
      const { runExplain } = await import("./run-explain.ts");
      end(await runExplain(kind, name, options));
    });
}

function addCaptured(program: Command, end: End): void {
  const captured = group(
    program,
    "captured",
    "Look at the mail that an outlet of type capture has kept on this machine.",
  );
  leaf(captured, "list", "List captured mail, the newest first.", [
    "postlane captured list",
    "postlane captured list --outlet default --limit 100",
  ])
    .option("--outlet <name>", "Only of this outlet; otherwise of all of type capture.")
    .option("--limit <rows>", "How many.", wholeNumber, ROWS_DEFAULT)
    .action(async (options: CapturedOptions & { limit: number }) => {
      const { runCapturedList } = await import("./run-captured.ts");
      end(await runCapturedList(options));
    });
  leaf(captured, "show", "Print a captured mail as it would have gone out.", [
    "postlane captured show latest",
    "postlane captured show 1767225600000.k3-000000.4711_1 > mail.eml",
  ])
    .argument("<name>", "Its name from `postlane captured list`, or `latest`.")
    .option("--outlet <name>", "Only of this outlet; otherwise of all of type capture.")
    .action(async (name: string, options: CapturedOptions) => {
      const { runCapturedShow } = await import("./run-captured.ts");
      end(await runCapturedShow(name, options));
    });
}

function addDoctor(program: Command, end: End): void {
  const doctor = leaf(
    program,
    "doctor",
    "Look for what would hurt, before going live and after trouble: PostgreSQL and the way to it, what holds back its vacuum, lanes and what waits in them, relays and their certificates, files, limits and clocks of this machine. Each finding says what it means and what to do. Starts nothing, changes nothing, and ends within 10 s also while the database hangs or `postlane up` is down. Exit code 1: there is a problem, or with --strict a warning.",
    ["postlane doctor", "postlane doctor --strict", "postlane doctor --json | jq '.findings[] | .level, .code'"],
  )
    .option("--strict", "Exit with 1 for warnings, too.")
    .action(async (options: DoctorOptions) => {
      const { runDoctorChecks } = await import("./run-doctor-checks.ts");
      end(await runDoctorChecks(options));
    });
  leaf(
    doctor,
    "disk",
    "Measure how many fsyncs a second a disk makes and how long each takes, alone and with eight writers at once, and say whether the figures are slow, honest, or too good to be true. Writes 17 MB per disk at most, over and over into nine files of 4 KB that are removed again, and ends within 10 s. On a virtual machine the host may lie, and no test inside can tell.",
    [
      "postlane doctor disk",
      "postlane doctor disk /var/spool/postfix",
      "postlane doctor disk --json | jq .disks[].verdict",
      "postlane doctor disk /var/lib/postlane --witness 192.0.2.7",
      "postlane doctor disk /var/lib/postlane --witness 192.0.2.7 --compare",
    ],
  )
    .argument(
      "[path]",
      "A folder on the disk; otherwise the data directory and the spool of each relay on this machine.",
    )
    .option(
      "--witness <host>",
      "Try the disk by cutting its power: write numbered records until then, and tell a `postlane doctor witness` on another machine, at this host and port (2581), what the disk calls durable.",
    )
    .option("--compare", "After the power cut: judge whether all of that is still there.")
    .option("--token <token>", "What the witness printed at its start; otherwise POSTLANE_WITNESS_TOKEN.")
    .action(async (path: string | undefined, options: CommonOptions & Partial<WitnessedDiskOptions>) => {
      const { witness } = options;
      if (witness !== undefined) {
        const { runWitnessedDisk } = await import("./run-witness.ts");
        return end(await runWitnessedDisk(path, { ...options, witness }));
      }
      if (options.compare === true || options.token !== undefined) {
        throw misused("--compare and --token go with --witness HOST.");
      }
      const { runDoctorDisk } = await import("./run-doctor.ts");
      end(await runDoctorDisk(path, options));
    });
  leaf(
    doctor,
    "witness",
    "Keep, for another machine, what its disk calls durable, until that machine's power is cut: the other half of `postlane doctor disk --witness`. It prints a token, without which nobody can tell it anything; nothing secret is told, and so there is no TLS. What it heard stays in the data directory and is synced. Ctrl-C ends it.",
    ["postlane doctor witness", "postlane doctor witness --listen 192.0.2.7:2581"],
  )
    .option("--listen <address:port>", "Where; otherwise 127.0.0.1:2581, which only this machine reaches.")
    .option("--token <token>", "In place of the one that it made; otherwise POSTLANE_WITNESS_TOKEN.")
    .action(async (options: WitnessOptions) => {
      const { runDoctorWitness } = await import("./run-witness.ts");
      end(await runDoctorWitness(options));
    });
}

function addPostfix(program: Command, end: End): void {
  const postfix = group(program, "postfix", "Make and check instances of Postfix that are Postlane's own.");
  leaf(
    postfix,
    "init",
    "Plan instances of Postfix for Postlane alone, one for each lane and one for retries, and print what would be made and what belongs into postlane.yaml. They hold stuck mail for minutes and send it home to `returns.domain`. Only --apply, as root, makes them; what exists is never changed, the system's own Postfix is never touched, and starting them is yours.",
    [
      "postlane postfix init",
      "sudo postlane postfix init --apply --hostname mail.example.com",
      "sudo postlane postfix init --apply --name alerts --first-port 10128",
    ],
  )
    .option(
      "--name <name>",
      "An instance to make; may be repeated. Otherwise transactional, bulk, retries, and one for each further lane.",
      collect,
    )
    .option("--root <folder>", "Where their folders are made; it must be on a local disk.", INSTANCES_ROOT)
    .option(
      "--first-port <port>",
      "The first one listens there on 127.0.0.1, the others on the next.",
      wholeNumber,
      FIRST_PORT,
    )
    .option(
      "--user <name>",
      "Whom Postlane runs as, who may empty the Maildirs; otherwise the owner of data_dir, and where that is root, postfix.",
    )
    .option("--hostname <name>", "What they call themselves; otherwise this machine's full name.")
    .option("--relayhost <host>", "Send everything on through this host, as Postfix writes it: [host]:port.")
    .option("--apply", "Make what is planned.")
    .action(async (options: PostfixInitOptions) => {
      const { runPostfixInit } = await import("./run-postfix.ts");
      end(await runPostfixInit(options));
    });
  leaf(
    postfix,
    "check",
    "Check the instances of Postfix behind the outlets: settings, owners and modes, the Maildir, the returns domain, Postfix's own check, and whether they run. Each finding comes with what to do. Of an instance that Postlane did not make, it only tells what Postlane cannot do there. As root it sees more.",
    ["sudo postlane postfix check", "sudo postlane postfix check --config-dir /etc/postfix --json"],
  )
    .option(
      "--config-dir <folder>",
      "An instance's configuration folder; may be repeated. Otherwise those of all outlets with a gauge of type postfix.",
      collect,
    )
    .action(async (options: PostfixCheckOptions) => {
      const { runPostfixCheck } = await import("./run-postfix.ts");
      end(await runPostfixCheck(options));
    });
}

function addGauge(program: Command, end: End): void {
  const gauge = group(program, "gauge", "Measure a relay's queue, for `gauge: { type: command }` of an outlet.");
  leaf(
    gauge,
    "exim",
    "Print Exim's queue as one JSON object: what it has not tried yet as `queue`, what it has tried or frozen as `deferred`. It runs as somebody who may list Exim's queue and read its spool (on Debian: the group Debian-exim); without the spool all messages count as `queue`, and `problems` says so.",
    ["postlane gauge exim", "postlane gauge exim --exim /usr/sbin/exim4 --spool /var/spool/exim4"],
  )
    .option("--exim <program>", "Exim's program.", "exim")
    .option("--spool <folder>", "Exim's spool; otherwise Exim is asked.")
    .action(async (options: EximGaugeOptions) => {
      const { runEximGauge } = await import("./run-gauge.ts");
      end(await runEximGauge(options));
    });
}
