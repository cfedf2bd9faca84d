// Opens the front's HTTP and keeps at it: a port that is taken is said loudly, once, and tried again, and the front works
// on meanwhile. While it listens, `run/front.json` says where.

import type { FastifyInstance } from "fastify";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../platform/clock.ts";
import type { ListenAddress } from "../../platform/config.ts";
import type { Log } from "../../platform/log.ts";
import { createPauses } from "../../platform/pauses.ts";
import { announceFront, forgetFront } from "./front-file.ts";
import type { HttpApi } from "./http-api.ts";
import { LISTEN_BACKLOG } from "./http-limits.ts";
import { createHttpServer } from "./http-server.ts";
import type { HttpAnswers } from "./telling-routes.ts";

export interface HttpDoor {
  stop(): Promise<void>;
}

export interface HttpPorts {
  readonly listen: ListenAddress;
  readonly dataDir: string;
  readonly answers: HttpAnswers;
  readonly api: HttpApi;
  readonly clock: Clock;
  readonly log: Log;
  /** A line that a person should see. */
  readonly tell: (line: string) => void;
}

const RETRY_MS = 5000;

export function openHttp({ listen, dataDir, answers, api, clock, log, tell }: HttpPorts): HttpDoor {
  let server: FastifyInstance | undefined;
  const pauses = createPauses(clock);
  let told: string | undefined;

  const tryOnce = async (): Promise<boolean> => {
    const fresh = createHttpServer(answers, api);
    try {
      await fresh.listen({ host: listen.host, port: listen.port, backlog: LISTEN_BACKLOG });
      opened((fresh.server.address() as AddressInfo).port);
      server = fresh;
      return true;
    } catch (error) {
      await fresh.close();
      failed(error instanceof Error ? error.message : String(error));
      return false;
    }
  };
  const opened = (port: number): void => {
    const http = `${reachableHost(listen.host)}:${port}`;
    log.info("http.opened", { http });
    tell(`front: listens at http://${http}${told === undefined ? "" : " now"}`);
    announceFront(dataDir, http);
  };
  const failed = (error: string): void => {
    if (error === told) return;
    told = error;
    log.error("http.open_failed", { host: listen.host, port: listen.port, error, retry_ms: RETRY_MS });
    tell(
      `front: CANNOT listen at ${listen.host}:${listen.port} (${error}): no metrics, and explain must ask the database; ` +
        `it tries again every ${RETRY_MS / 1000} s. Free the port, or set listen.http`,
    );
  };
  const trying = (async () => {
    while (!pauses.isEnded && !(await tryOnce())) await pauses.wait(RETRY_MS);
  })();

  return {
    async stop() {
      pauses.end();
      await trying;
      forgetFront(dataDir);
      if (server !== undefined) await closeInTime(server, clock);
    },
  };
}

/** Requests that are under way get their answer; whoever is slow to send one is cut off. */
const CLOSE_MS_MAX = 3000;

async function closeInTime(server: FastifyInstance, clock: Clock): Promise<void> {
  const timer = clock.after(CLOSE_MS_MAX, () => server.server.closeAllConnections());
  await server.close();
  timer.cancel();
}

/** Whoever listens everywhere is found on this machine by its loopback. */
function reachableHost(host: string): string {
  if (host === "0.0.0.0" || host === "::" || host === "[::]") return "127.0.0.1";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
