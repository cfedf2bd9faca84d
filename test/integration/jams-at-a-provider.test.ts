// Eight jams at a provider that our mail goes out by (a scripted server with TLS, a password and a rate), and in our own
// processes, made on purpose: `explain` names each one first within 5 s, and takes it back within 10 s of its end.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { sendSignal } from "../../bench/running-processes.ts";
import { provoke, startEngine, type EngineUnderTest, type Jam } from "../rig/jam.ts";
import { createCampaign, enqueueMany, fillCampaign, until } from "../rig/lane-mail.ts";
import { inScope, type Scope } from "../rig/scope.ts";
import { replyAndDrop, startScriptedSink, type SinkAnswer, type SinkCommand } from "../rig/scripted-sink.ts";

/** So little that a machine with other work, too, keeps to it: else something else limits. */
const MAX_RATE_PER_S = 50;
/**
 * For so long a dispatcher says that mail was kept back, with the pulse that says it. A burst that comes meanwhile is named
 * at once, and no more when they are over, until it has itself been kept back.
 */
const KEPT_BACK_MS = 3000;
/** More than the flow's pause between two rounds: at any time somebody waits. */
const SLOW_MS = 600;
const CERTIFICATE = path.resolve(import.meta.dirname, "../fixtures/tls/cert.pem");
const LIVE = ["a.example", "b.example", "c.example"];

/** What the provider does now; each jam changes it and back. */
interface Provider {
  readonly refusals: Set<string>;
  isHandshakeBroken: boolean;
  isPasswordOld: boolean;
  isSlow: boolean;
}

test("what a provider and our own processes do to the mail is named within five seconds, and taken back", async (t) => {
  await inScope(async (scope) => {
    const provider: Provider = { refusals: new Set(), isHandshakeBroken: false, isPasswordOld: false, isSlow: false };
    const sink = await startScriptedSink(scope, {
      tls: "starttls",
      users: { postlane: "secret" },
      answer: (command) => answerOf(provider, command),
      get isHandshakeBroken() {
        return provider.isHandshakeBroken;
      },
    });
    let turn = 0;
    const engine = await startEngine(scope, {
      yaml: configuration(sink.port),
      flow: () => ["ann", "bob"].map((user) => `${user}${turn}@${LIVE[turn++ % LIVE.length]}`),
    });
    const jams: Readonly<Record<string, Jam>> = {
      "a lane is paused": {
        code: "lane_paused",
        begin: () => engine.command("lane", "pause", "bulk"),
        end: () => engine.command("lane", "resume", "bulk"),
      },
      "a campaign is paused": {
        code: "campaign_paused",
        async begin() {
          const id = await createCampaign(engine.pool, { name: "march" });
          await fillCampaign(engine.pool, id, { rows: 200, destinations: 10, domain: "march.example" });
          await engine.command("campaign", "pause", "march");
        },
        end: () => engine.command("campaign", "resume", "march"),
      },
      "no dispatcher": dispatcherDown(engine),
      "a provider refuses by policy": {
        code: "policy_refusals",
        async begin() {
          provider.refusals.add("big.example");
          await enqueueMany(engine.pool, recipients(60, ["big.example"]));
        },
        async end() {
          provider.refusals.clear();
          await engine.command("destination", "resume", "big.example");
        },
      },
      "the password is refused": {
        code: "credentials_refused",
        begin: () => void (provider.isPasswordOld = true),
        end: () => void (provider.isPasswordOld = false),
      },
      "TLS is refused": {
        code: "tls_refused",
        begin: () => void (provider.isHandshakeBroken = true),
        end: () => void (provider.isHandshakeBroken = false),
      },
      // Late, as the CPU's: other jams that are tried at the same time are over, and nothing else limits the rate.
      max_rate: {
        code: "max_rate",
        async begin() {
          await sleep(KEPT_BACK_MS);
          await enqueueMany(engine.pool, recipients(9 * MAX_RATE_PER_S));
        },
        end: () => untilFewWait(engine),
      },
    };
    for (const [name, jam] of Object.entries(jams)) await t.test(name, (one) => provoke(one, engine, jam));
    await t.test("the CPU is full", async (one) => {
      if (!existsSync("/proc/pressure/cpu")) return one.skip("this kernel has no pressure stall information");
      await provoke(one, engine, cpuFull(scope, provider));
    });
  });
});

function configuration(port: number): string {
  return `from: "News <news@news.example>"
lanes: { transactional: { outlets: [provider] }, bulk: { outlets: [provider] } }
outlets:
  provider:
    type: smtp
    hosts: ["127.0.0.1:${port}"]
    tls: required
    ca_file: ${CERTIFICATE}
    auth: { user: postlane, password: secret }
    max_rate: "${MAX_RATE_PER_S}/s"
`;
}

async function answerOf(provider: Provider, { verb, recipient }: SinkCommand): Promise<SinkAnswer | undefined> {
  // Sessions from before end, as a provider ends those of a password that was changed.
  const isOver = provider.isPasswordOld || provider.isHandshakeBroken;
  if (verb === "MAIL" && isOver) return replyAndDrop("421 4.7.0 connect again");
  if (verb === "AUTH" && provider.isPasswordOld) return "535 5.7.8 the password was changed";
  const domain = recipient.slice(recipient.indexOf("@") + 1);
  if (verb === "RCPT" && provider.refusals.has(domain)) return "550 5.7.1 your reputation is low";
  if (verb === "DOT" && provider.isSlow) await sleep(SLOW_MS);
  return undefined;
}

function recipients(
  count: number,
  domains: readonly string[] = LIVE,
): readonly { readonly to: string; lane: string }[] {
  return Array.from({ length: count }, (_, index) => ({
    to: `user${index}@${domains[index % domains.length]}`,
    lane: "bulk",
  }));
}

/** The burst is through; the flow goes on. */
async function untilFewWait({ explain }: EngineUnderTest): Promise<void> {
  await until("the burst is through", async () => ((await explain()).waiting ?? 0) < MAX_RATE_PER_S / 2);
}

/** Killed as often as the supervisor starts it. */
function dispatcherDown({ installation }: EngineUnderTest): Jam {
  let isOver = false;
  let kills: Promise<void> = Promise.resolve();
  const killOn = async (): Promise<void> => {
    while (!isOver) {
      for (const { pid } of installation.dispatchersOf("bulk")) sendSignal(pid, "SIGKILL");
      await sleep(50);
    }
  };
  return {
    code: "no_dispatcher",
    begin: () => void (kills = killOn()),
    async end() {
      isOver = true;
      await kills;
    },
  };
}

/**
 * Four times as many that want to run as there are cores: the kernel weighs each core by itself, and of twice as many three
 * may share one for seconds while the last has the other alone, where nobody waits. As nice as bulk: what else is tested on
 * this machine goes before them. A full CPU limits nobody while nothing waits, so the provider takes its time.
 */
function cpuFull(scope: Scope, provider: Provider): Jam {
  const busy: ReturnType<typeof spawn>[] = [];
  const end = (): void => {
    busy.splice(0).forEach((one) => one.kill("SIGKILL"));
    provider.isSlow = false;
  };
  scope.after(end);
  return {
    code: "cpu_full",
    begin() {
      provider.isSlow = true;
      for (let n = 0; n < 4 * os.availableParallelism(); n++) {
        busy.push(spawn("nice", ["-n", "10", process.execPath, "-e", "for (;;);"], { stdio: "ignore" }));
      }
    },
    end,
  };
}
