// What the front tells of the engine: it keeps the last look in mind, and answers by HTTP from that. It has sessions of
// its own with short timeouts, so that a database that stands still is noticed, and upkeep's work never waits for them.

import { readFileSync } from "node:fs";
import { monitorEventLoopDelay, type IntervalHistogram } from "node:perf_hooks";
import type { HttpApi } from "../doors/http/http-api.ts";
import { openHttp } from "../doors/http/open-http.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { silentLog, type Log } from "../platform/log.ts";
import { readVersion } from "../platform/version.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { createPool, type Database } from "../postgres/database.ts";
import { answerQuestion, READ_MS_MAX, readQuestion, type Known } from "../reports/explain-question.ts";
import { printInstant, seconds } from "../reports/explain-limit.ts";
import { findLimits } from "../reports/explain-limits.ts";
import { createLimitNews, type LimitNews } from "../reports/explain-news.ts";
import { watchEngine, type EngineWatch } from "../reports/explain-watch.ts";
import { createExtrasReader, type ExtrasReader } from "../reports/metrics-extras.ts";
import { metricsOf } from "../reports/metrics.ts";
import { tellSupervisor } from "./supervision.ts";

const CLOSE_MS_MAX = 500;
const VERSION = readVersion();
/** Between two beats that show whether the event loop is late. */
const LAG_MS = 20;

export interface EngineTelling {
  readonly watch: EngineWatch;
  /** Answers what is under way, and nothing more. */
  closeDoor(): Promise<void>;
  stop(): Promise<void>;
}

export function tellOfEngine(config: Config, { clientConfig }: Database, log: Log, api: HttpApi): EngineTelling {
  const limits = { query_timeout: READ_MS_MAX, connectionTimeoutMillis: READ_MS_MAX };
  const named = { ...clientConfig, ...limits, application_name: "postlane front watch" };
  const { pool, close } = createPool(named, silentLog, {
    connectionsMax: SESSIONS_MAX.frontTelling,
    closeMsMax: CLOSE_MS_MAX,
  });
  const news = createLimitNews();
  const watch = watchEngine({
    pool,
    clock: systemClock,
    config,
    readCpuPressure,
    onLook(known) {
      try {
        logNews(news, known, config, log);
      } catch (error) {
        // What is only told must not end what is done.
        log.error("engine.look_failed", { error: String(error) });
      }
    },
  });
  const extras = createExtrasReader(pool);
  const lag = monitorEventLoopDelay({ resolution: LAG_MS });
  lag.enable();
  const door =
    config.listen.http === undefined
      ? undefined
      : openHttp({
          listen: config.listen.http,
          dataDir: config.dataDir,
          clock: systemClock,
          log,
          api,
          tell: (line) => tellSupervisor({ kind: "told", line }),
          answers: {
            metrics: () => tellMetrics(watch, extras, config, lag),
            silentSince: () => silentSince(watch),
            readQuestion: (kind, name) => readQuestion(kind, name, config),
            explain: (question) => answerQuestion({ pool, clock: systemClock }, watch.known(), question, config),
          },
        });
  return {
    watch,
    async closeDoor() {
      await door?.stop();
    },
    async stop() {
      lag.disable();
      await watch.stop();
      await close();
    },
  };
}

/** Without the words of the evidence: a reply may hold an address. `explain` has them while it lasts. */
function logNews(news: LimitNews, { snapshot, around }: Known, config: Config, log: Log): void {
  if (snapshot === undefined) return;
  for (const { kind, limit, sinceMs } of news.look(findLimits({ snapshot, config, around }), around.nowMs)) {
    const { reason, lanes, outlet, destination } = limit;
    const figures = Object.fromEntries(Object.entries(reason.evidence).filter(([, fact]) => typeof fact === "number"));
    const about = { code: reason.code, lanes, outlet, destination, ...figures };
    if (kind === "began") log.warn("engine.limited", about);
    else log.info("engine.freed", { ...about, lasted_s: seconds(around.nowMs - sinceMs) });
  }
}

async function tellMetrics(
  watch: EngineWatch,
  extras: ExtrasReader,
  config: Config,
  lag: IntervalHistogram,
): Promise<string> {
  const known = watch.known();
  const more = await extras.read(known.around.nowMs, known.around.databaseSilent !== undefined);
  const { user, system } = process.cpuUsage();
  const facts = {
    version: VERSION,
    startedAtS: Math.round(performance.timeOrigin / 1000),
    cpuS: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    // Its figures are the time between two beats, in nanoseconds; without any yet they are no number.
    eventLoopLagS: Math.max(0, lag.max / 1e9 - LAG_MS / 1000),
  };
  lag.reset();
  return metricsOf(known, more, config, facts);
}

function silentSince(watch: EngineWatch): string | undefined {
  const { databaseSilent } = watch.known().around;
  return databaseSilent === undefined ? undefined : printInstant(databaseSilent.sinceMs);
}

/** Linux; elsewhere nothing is known. */
function readCpuPressure(): string | undefined {
  try {
    return readFileSync("/proc/pressure/cpu", "latin1");
  } catch {
    return undefined;
  }
}
