// The test mail of `postlane init`: one email by the lane for transactional mail, and the wait until it is out, is kept, or
// has failed once. Where nobody runs Postlane on this database, `postlane up` is started for it, and stopped again.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { Pool } from "pg";
import type { MessageId } from "../../mail/ids.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Config } from "../../platform/config.ts";
import { countDispatchers } from "../../reports/status-report.ts";
import { tellStory, type MessageStory } from "../../reports/message-story.ts";
import { acceptSubmission } from "../../submission/accept-submission.ts";
import { messagesOf } from "../../submission/submission-store.ts";
import { CommandFailure } from "./command-failure.ts";
import { withDatabase } from "./with-database.ts";

/** A relay that is there answers within seconds; a host that swallows packets is given up by then as well. */
const SETTLE_MS_MAX = 45_000;
/** A first start makes a cluster, which takes seconds on a slow disk. */
const READY_MS_MAX = 60_000;
const LOOK_MS = 50;
const LANE = "transactional";

export async function sendTestMail(config: Config, to: string): Promise<MessageStory> {
  const isServed = await withDatabase(config, async (pool) => (await countDispatchers(pool, LANE)) > 0);
  const engine = isServed ? undefined : startEngine(config);
  try {
    await engine?.ready;
    return await withDatabase(config, async (pool) => await untilAnswered(pool, await accept(pool, to), config));
  } finally {
    // After our sessions are closed: with it, an embedded database ends.
    await engine?.stop();
  }
}

async function accept(pool: Pool, to: string): Promise<MessageId> {
  const email = { to, subject: "Postlane works", text: TEXT, lane: LANE };
  const answer = await acceptSubmission(pool, { kind: "email", email, door: "cli", credential: "cli" });
  if (answer.kind === "refused") {
    throw new CommandFailure(answer.code, `The test mail was refused: ${answer.message}. ${answer.hint}`.trim());
  }
  const [id] = await messagesOf(pool, answer.submissionId);
  return id!;
}

const TEXT = `This is the test mail of \`postlane init\`. It was a row in PostgreSQL before it was a mail.
`;

interface Engine {
  /** Its dispatcher hands over. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

function startEngine({ file }: Config): Engine {
  const main = path.join(import.meta.dirname, `main${path.extname(import.meta.filename)}`);
  const named = file === undefined ? [] : ["--config", file];
  const child = spawn(process.execPath, [...process.execArgv, main, "up", ...named], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  return {
    ready: untilPrinted(child, `dispatcher ${LANE}: ready`),
    async stop() {
      child.kill("SIGTERM");
      await closed;
    },
  };
}

function untilPrinted(child: ChildProcess, wanted: string): Promise<void> {
  let printed = "";
  return new Promise((resolve, reject) => {
    const fail = (how: string): void =>
      reject(new CommandFailure("up_failed", `\`postlane up\` ${how}. It printed:\n${printed.trimEnd()}`));
    const timer = systemClock.after(READY_MS_MAX, () => fail(`was not ready after ${READY_MS_MAX / 1000} s`));
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        printed += chunk;
        if (!printed.includes(wanted)) return;
        timer.cancel();
        resolve();
      });
    }
    child.once("close", () => {
      timer.cancel();
      fail("ended by itself");
    });
  });
}

/** Out, refused, put off, or still on its way after a while: whatever it is, it is told. */
async function untilAnswered(pool: Pool, id: MessageId, { lanes }: Config): Promise<MessageStory> {
  const deadlineMs = systemClock.monotonicMs() + SETTLE_MS_MAX;
  for (;;) {
    const story = (await tellStory(pool, id, lanes))!;
    const isAnswered = story.state !== "queued" && story.state !== "scheduled";
    if (isAnswered || systemClock.monotonicMs() > deadlineMs) return story;
    await new Promise<void>((wake) => systemClock.after(LOOK_MS, wake));
  }
}
