// The whole program beside relays of its own making: `postlane up` with its embedded database, and Postfix instances as
// `postlane postfix init` makes them, each lane through its own, retries through theirs. What the world's servers are is
// the test's business (`routes`), and so are the lifetimes, which are seconds here. All of it ends with the test.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import type { TestContext } from "node:test";
import type { Pool } from "pg";
import { parse } from "yaml";
import { makeInstallation, type Installation, type Supervisor } from "../../bench/installation.ts";
import { processesOf, type RunningProcess } from "../../bench/running-processes.ts";
import type { MessageId } from "../../src/mail/ids.ts";
import type { RelayReading } from "../../src/mail/reading.ts";
import { claimedName, tokenOfReturnPath } from "../../src/mail/return-token.ts";
import { senderOfQueueFile } from "../../src/mailers/postfix/queue-file.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createPool, embeddedConfig, withSessionOptions } from "../../src/postgres/database.ts";
import { findEmbedded } from "../../src/postgres/embedded.ts";
import { storyOf, until } from "../rig/lane-mail.ts";
import {
  startPostfixInstances,
  type PostfixInstances,
  type PostfixInstancesOptions,
  type RigInstance,
} from "../rig/postfix-instances.ts";
import type { Scope } from "../rig/scope.ts";
import type { ScriptedSink } from "../rig/scripted-sink.ts";
import type { CommandEnd } from "./cli-command.ts";

export const RETURNS_DOMAIN = "returns.test";

type Keys = Readonly<Record<string, unknown>>;

export interface HomeConfig {
  readonly lanes: Readonly<Record<string, Keys>>;
  readonly outlets: Readonly<Record<string, Keys>>;
}

export interface HomeOptions extends PostfixInstancesOptions {
  /** Of what `postlane postfix init` prints, and before anything is started. */
  readonly configure?: (printed: HomeConfig, instances: PostfixInstances) => HomeConfig | Promise<HomeConfig>;
}

export interface Program {
  readonly installation: Installation;
  readonly supervisor: Supervisor;
  readonly pool: Pool;
  /** A command of the command line, to its end. */
  run(...words: readonly string[]): Promise<CommandEnd>;
  /** One that must succeed, as JSON. */
  ask<Shape>(...words: readonly string[]): Promise<Shape>;
  /** The process of that name (`agent --outlet bulk`); waits until there is one. */
  processOf(name: string): Promise<RunningProcess>;
}

export interface Home extends Program {
  /** What is registered here ends before the program and its relays do. */
  readonly scope: Scope;
  readonly instances: PostfixInstances;
}

/** Ends in the reverse order of its beginning; hooks of a test run in the order of their registration. */
export function endingInReverse(t: TestContext): Scope {
  const cleanups: (() => Promise<void> | void)[] = [];
  t.after(async () => {
    for (const clean of cleanups.toReversed()) await clean();
  });
  return { after: (clean) => void cleanups.push(clean) };
}

export async function startHome(t: TestContext, options: HomeOptions = {}): Promise<Home> {
  const scope = endingInReverse(t);
  const instances = await startPostfixInstances(scope, { ...options, returnsDomain: RETURNS_DOMAIN });
  const printed = parse(instances.yaml) as HomeConfig;
  const config = (await options.configure?.(printed, instances)) ?? printed;
  return { scope, instances, ...(await startProgram(scope, { returns: { domain: RETURNS_DOMAIN }, ...config })) };
}

/** Resolves when every dispatcher is ready. */
export async function startProgram(scope: Scope, config: Keys): Promise<Program> {
  const installation = makeInstallation(scope, "home");
  // No other program's port, and nobody's name server.
  installation.configure(printYaml({ listen: { returns: "off" }, resolvers: ["127.0.0.1:9"], ...config }));
  const supervisor = await installation.up();
  const embedded = await findEmbedded(installation.dataDir);
  assert.ok(embedded !== undefined, "the embedded database runs");
  const { pool, close } = createPool(withSessionOptions(embeddedConfig(embedded), "on"), silentLog);
  scope.after(close);
  const run = (...words: readonly string[]) => runOn(installation, words);
  return {
    installation,
    supervisor,
    pool,
    run,
    async ask<Shape>(...words: readonly string[]) {
      const { exitCode, stdout, stderr } = await run(...words, "--json");
      assert.equal(exitCode, 0, `${words.join(" ")}: ${stdout}${stderr}`);
      return JSON.parse(stdout) as Shape;
    },
    processOf: (name) =>
      until(`${name} runs`, () =>
        processesOf(installation.folder).find(({ command }) => command.includes(` ${name} `)),
      ),
  };
}

/** JSON is YAML. */
function printYaml(config: Keys): string {
  return Object.entries(config)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
    .join("");
}

function runOn(installation: Installation, words: readonly string[]): Promise<CommandEnd> {
  const { file, args } = installation.command(...words);
  return new Promise((resolve) => {
    execFile(file, args, { env: installation.env }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

// ---- what arrived ---------------------------------------------------------------------------------------------------

/** Of each mail that a server of the world took, by its recipient. */
export function arrivalsAt(...sinks: readonly ScriptedSink[]): ReadonlyMap<string, readonly string[]> {
  const arrivals = new Map<string, string[]>();
  for (const { recipients, content } of sinks.flatMap(({ accepted }) => accepted)) {
    const messageId = /^Message-ID: *<([^>]+)>/im.exec(content.toString("latin1"))?.[1];
    assert.ok(messageId !== undefined, "a mail without a Message-ID");
    for (const recipient of recipients) arrivals.set(recipient, [...(arrivals.get(recipient) ?? []), messageId]);
  }
  return arrivals;
}

/** Exactly these recipients have their mail, each once, and no Message-ID was seen twice. */
export function assertArrivedOnce(recipients: readonly string[], ...sinks: readonly ScriptedSink[]): void {
  const arrivals = arrivalsAt(...sinks);
  assert.deepEqual([...arrivals.keys()].toSorted(), recipients.toSorted(), "who has their mail");
  const ids = [...arrivals.values()].flat();
  const twice = [...arrivals].filter(([, messageIds]) => messageIds.length > 1);
  assert.deepEqual(twice, [], "who has it more than once");
  assert.equal(new Set(ids).size, ids.length, "a Message-ID that arrived twice");
}

// ---- what a relay holds ----------------------------------------------------------------------------------------------

/** Its queue files: what it works on, and what it keeps trying. */
export function filesOf(instance: RigInstance): { readonly queue: number; readonly deferred: number } {
  const countIn = (name: string): number => filesIn(instance, name).length;
  return { queue: countIn("incoming") + countIn("active"), deferred: countIn("deferred") };
}

export async function readingOf(pool: Pool, outlet: string): Promise<RelayReading | undefined> {
  const { rows } = await pool.query<{ readonly body: RelayReading }>(
    "SELECT body FROM postlane.reading WHERE outlet = $1",
    [outlet],
  );
  return rows[0]?.body;
}

/** The messages whose queue files lie in one of the relays. */
export async function messagesIn(instances: PostfixInstances): Promise<ReadonlySet<MessageId>> {
  const files = instances.all.flatMap((instance) =>
    ["incoming", "active", "deferred"].flatMap((name) => filesIn(instance, name)),
  );
  const held = new Set<MessageId>();
  for (const file of files) {
    const sender = await senderOfQueueFile(file);
    const token = sender === undefined ? undefined : tokenOfReturnPath(sender, RETURNS_DOMAIN);
    const name = token === undefined ? undefined : claimedName(token);
    if (name !== undefined) held.add(name.messageId);
  }
  return held;
}

function filesIn({ queueDir }: RigInstance, name: string): readonly string[] {
  return readdirSync(path.join(queueDir, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

// ---- where each message stands --------------------------------------------------------------------------------------

export interface MessageState {
  readonly id: MessageId;
  readonly recipient: string;
  /** The queue's word for what waits, else the last event that is a state. */
  readonly state: string;
}

export async function statesOf(pool: Pool): Promise<readonly MessageState[]> {
  const { rows } = await pool.query<MessageState>(
    `SELECT m.id, m.recipient, coalesce(q.state::text, told.kind) AS state
     FROM postlane.message AS m LEFT JOIN postlane.queue AS q ON q.message_id = m.id
     LEFT JOIN LATERAL (
       SELECT kind FROM postlane.event
       WHERE message_id = m.id AND kind IN ('sent', 'delivered', 'bounced', 'expired', 'canceled', 'suppressed')
       ORDER BY at DESC LIMIT 1
     ) AS told ON true ORDER BY m.id`,
  );
  return rows;
}

/**
 * Until each message is as it should be; what is not is told, with its story and what its relays logged. `look` is for
 * what `isRight` also asks.
 */
export async function untilEach(
  { pool, instances }: Home,
  isRight: (message: MessageState) => boolean,
  msMax?: number,
  look: () => Promise<void> = async () => {},
): Promise<void> {
  let states: readonly MessageState[] = [];
  try {
    await until(
      "each message is as it should be",
      async () => {
        await look();
        states = await statesOf(pool);
        return states.every(isRight);
      },
      msMax,
    );
  } catch (error) {
    const others = states.filter((message) => !isRight(message)).slice(0, OTHERS_MAX);
    const told = await Promise.all(others.map((message) => tellStory(pool, instances, message)));
    throw new Error([(error as Error).message, ...told].join("\n"), { cause: error });
  }
}

const OTHERS_MAX = 10;

async function tellStory(
  pool: Pool,
  { all }: PostfixInstances,
  { id, recipient, state }: MessageState,
): Promise<string> {
  const story = (await storyOf(pool, id)).map((one) => `${one.attempt} ${one.kind} ${one.reply ?? ""}`);
  const queueIds = story.flatMap((line) => /queued as (\w+)/.exec(line)?.[1] ?? []);
  const lines = all.flatMap((instance) => instance.log().split("\n"));
  const logged = lines.filter((line) => queueIds.some((queueId) => line.includes(queueId)));
  return [`${recipient} is ${state}:`, ...story, ...logged].join("\n  ");
}
