// Counts the sessions that are open, in all and of each client, so that one that opens thousands cannot keep the others
// out. An IPv6 client is its /64: that is what one machine is given.

export interface SessionCount {
  /** Undefined: too many. Otherwise to be called once when the session is over. */
  enter(address: string): (() => void) | undefined;
}

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
      return () => {
        open--;
        const left = (ofClient.get(client) ?? 1) - 1;
        if (left === 0) ofClient.delete(client);
        else ofClient.set(client, left);
      };
    },
  };
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
