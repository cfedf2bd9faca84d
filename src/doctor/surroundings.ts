// What checks are given: the configuration, and what belongs to the outside (clock, sockets, who we are), so that none of
// them takes it by itself.

import type { Duplex } from "node:stream";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";

export interface Surroundings {
  readonly config: Config;
  readonly clock: Clock;
  /** Of this process. */
  readonly uid: number;
  /** Sessions of the database that our processes open at most. */
  readonly connectionsNeeded: number;
  readonly connect: (host: string, port: number) => Duplex;
  readonly startTls: (socket: Duplex, options: TlsWish) => Duplex;
}

export interface TlsWish {
  readonly host: string;
  readonly servername: string | undefined;
  readonly ca: string | undefined;
  readonly isVerified: boolean;
}
