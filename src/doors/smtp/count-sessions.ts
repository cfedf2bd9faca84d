// Counts the sessions that are open, in all and of each client, so that one that opens thousands cannot keep the others
// out; and chooses which idle one has to make room. An IPv6 client is its /64: that is what one machine is given.

export interface SessionCount {
  /** Undefined: too many. Otherwise to be called when the session is over; again does nothing. */
  enter(address: string): (() => void) | undefined;
  /**
   * For somebody from this address who was too many: of the sessions that can be spared the one that has been idle
   * longest, of its own client when that has all of its share.
   */
  spare<Session extends IdleSession>(address: string, sessions: Iterable<Session>): Session | undefined;
}

export interface IdleSession {
  readonly remoteAddress: string;
  /** Undefined: it is not idle. */
  idleMs(): number | undefined;
}

/** A session that has been idle for less is not ended for another: a pool's connection is used again within seconds. */
export const SPARED_MS = 10_000;

export function createSessionCount(given: {
  readonly sessionsMax: number;
  readonly sessionsPerClientMax: number;
}): SessionCount {
  const ofClient = new Map<string, number>();
  let open = 0;
  return {
    enter(address) {
      const client = clientOf(address);
      const own = ofClient.get(client) ?? 0;
      if (open >= given.sessionsMax || own >= given.sessionsPerClientMax) return undefined;
      open++;
      ofClient.set(client, own + 1);
      let isOpen = true;
      return () => {
        if (!isOpen) return;
        isOpen = false;
        open--;
        const left = (ofClient.get(client) ?? 1) - 1;
        if (left === 0) ofClient.delete(client);
        else ofClient.set(client, left);
      };
    },
    spare(address, sessions) {
      const client = clientOf(address);
      const isOwnFull = (ofClient.get(client) ?? 0) >= given.sessionsPerClientMax;
      return longestIdle(
        isOwnFull ? [...sessions].filter((each) => clientOf(each.remoteAddress) === client) : sessions,
      );
    },
  };
}

function longestIdle<Session extends IdleSession>(sessions: Iterable<Session>): Session | undefined {
  let longest: Session | undefined;
  let longestMs = SPARED_MS;
  for (const session of sessions) {
    const ms = session.idleMs();
    if (ms === undefined || ms < longestMs) continue;
    longest = session;
    longestMs = ms;
  }
  return longest;
}

const GROUPS = 8;
const GROUPS_OF_A_CLIENT = 4;

function clientOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (!plain.includes(":")) return plain;
  const [head = "", tail = ""] = plain.split("::");
  const before = head.split(":").filter((group) => group !== "");
  const after = tail.split(":").filter((group) => group !== "");
  const zeros = Array.from({ length: Math.max(0, GROUPS - before.length - after.length) }, () => "0");
  return [...before, ...zeros, ...after].slice(0, GROUPS_OF_A_CLIENT).join(":");
}
