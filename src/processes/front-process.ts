// The front: upkeep, what comes home, and over HTTP what it has in mind of the engine: metrics, health, explain.

import { statfs } from "node:fs/promises";
import { tellCanary } from "../campaigns/judge-canary.ts";
import { createOverdueLeases } from "../dispatcher/overdue-leases.ts";
import { rescueOverdue } from "../dispatcher/rescue.ts";
import { admitSessions } from "../guard/admit-session.ts";
import { openGuardMemory } from "../guard/guard-memory.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { createLog } from "../platform/log.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { connectDatabase } from "../postgres/database.ts";
import { startUpkeep } from "../upkeep/upkeep.ts";
import { tellOfEngine } from "./engine-telling.ts";
import { openEntry } from "./entry-here.ts";
import { guardContextOf, guardHere, untilAdmitted } from "./guard-here.ts";
import { prepareHttp } from "./http-here.ts";
import { rescueHere } from "./journals-here.ts";
import { bulkLanesOf, rescueContextOf } from "./lanes.ts";
import { startNotices } from "./notices-here.ts";
import { openReturns, returnSettingsOf } from "./returns-here.ts";
import { openSendmailSpool } from "./sendmail-here.ts";
import { openSmtp } from "./smtp-here.ts";
import { beAlive, onStop, tellSupervisor } from "./supervision.ts";
import { openWebhooks } from "./webhooks-here.ts";

export async function runFront(config: Config): Promise<number> {
  const log = createLog(config.logLevel, { process: "front" }, undefined, { isWaitedFor: false });
  const stopAlive = beAlive();
  const { databaseUrl, dataDir } = config;
  const memory = openGuardMemory(dataDir);
  const limits = { connectionsMax: SESSIONS_MAX.front, onConnect: admitSessions(memory) };
  const database = await connectDatabase({ databaseUrl, dataDir, log, role: "front", ...limits });
  const tell = (line: string): void => tellSupervisor({ kind: "told", line });
  let isStopping = false;
  const stopped = new Promise<void>((resolve) =>
    onStop(() => {
      isStopping = true;
      resolve();
    }),
  );
  if (!(await untilAdmitted(database.pool, { isStopping: () => isStopping, log, tell }))) return 0;
  // Before it rescues anything: rescue takes away what the guard looks at.
  await guardHere(guardContextOf(config, database.pool, memory, log), config, tell);
  const http = prepareHttp(config, database, log);
  const telling = tellOfEngine(config, database, log, http.api);
  const context = await rescueContextOf(database.pool, config, log);
  const overdue = createOverdueLeases(config.rescueGraceMs);
  const returns = await openReturns(config, context.laneSettingsOf, log);
  const entry = await openEntry(config, log);
  const webhooks = await openWebhooks(config, log);
  const smtp = await openSmtp(config, entry, log);
  http.open(entry);
  const notices = startNotices(database.pool, config, log);
  const upkeep = startUpkeep(
    {
      noProgressAlarmMs: config.noProgressAlarmMs,
      vacuumAlarm: config.vacuumAlarm,
      ...returnSettingsOf(config),
      intake: config.queue,
      bulkLanes: bulkLanesOf(config),
    },
    {
      pool: database.pool,
      clock: systemClock,
      log,
      rescueOverdue: async () => {
        await rescueHere(config, database.pool, log);
        await rescueOverdue(context, (leases) => overdue.among(leases, systemClock.monotonicMs()));
      },
      takeReturns: returns.take,
      onAlarm({ isRaised, detail, ...about }) {
        telling.watch.hear({ ...about, isRaised });
        if (isRaised) log.error("alarm.raised", { ...about, detail });
        else log.info("alarm.ended", { ...about, detail });
        const subject = subjectOf(about);
        tellSupervisor({ kind: "told", line: isRaised ? `ALARM: ${detail}` : `${subject}: ${detail}` });
      },
      onIntake: ({ lane, full_because }) => {
        if (full_because === null) log.info("lane.opened", { lane });
        else log.error("lane.closed", { lane, because: full_because });
        const said = full_because === null ? "takes mail again" : `takes no more mail: ${full_because}`;
        tellSupervisor({ kind: "told", line: `lane ${lane} ${said}` });
      },
      freeDiskBytes: () => freeDiskBytesOf(config),
      onFinished: (campaign) => tellSupervisor({ kind: "told", line: `campaign "${campaign}" is finished` }),
      onStopped({ name, because }) {
        const detail = tellCanary(because);
        log.error("campaign.stopped", { campaign: name, ...because.evidence, detail });
        tellSupervisor({ kind: "told", line: `ALARM: campaign "${name}" is paused by its canary: ${detail}` });
      },
    },
  );
  const sendmailSpool = openSendmailSpool(config, smtp, log);
  tellSupervisor({ kind: "ready" });
  await stopped;
  await sendmailSpool.stop();
  await smtp.stop();
  await telling.closeDoor();
  await returns.closeDoor();
  await upkeep.stop();
  await webhooks.stop();
  await notices.stop();
  await returns.close();
  await http.close();
  await entry.close();
  stopAlive();
  await telling.stop();
  await database.close();
  return 0;
}

function subjectOf(about: AlarmSubject): string {
  if ("reason" in about) return "database";
  return "lane" in about ? `lane ${about.lane}` : `outlet ${about.outlet}`;
}

type AlarmSubject = { readonly lane: string } | { readonly outlet: string } | { readonly reason: unknown };

/** The embedded database lies in the data directory. */
async function freeDiskBytesOf({ databaseUrl, dataDir }: Config): Promise<number | undefined> {
  if (databaseUrl !== undefined) return undefined;
  const { bavail, bsize } = await statfs(dataDir);
  return bavail * bsize;
}
