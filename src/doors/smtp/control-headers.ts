// What a mail says to Postlane by headers of its own, which never leave this machine: its lane, when it expires, its
// idempotency key, and that it came by the sendmail command. Each may stand once, in printable ASCII; what it says is
// judged by the rules of entry.

import { valueOf, type HeaderField } from "./read-header.ts";

export interface Controls {
  readonly lane?: string;
  readonly expiresAt?: string;
  readonly idempotencyKey?: string;
  readonly isBySendmail: boolean;
}

export type ControlsRead =
  | { readonly kind: "controls"; readonly controls: Controls }
  | { readonly kind: "refused"; readonly header: string };

const LANE = "X-Postlane-Lane";
const EXPIRES_AT = "X-Postlane-Expires-At";
const IDEMPOTENCY_KEY = "X-Postlane-Idempotency-Key";
const DOOR = "X-Postlane-Door";
const CONTROL_HEADERS = [LANE, EXPIRES_AT, IDEMPOTENCY_KEY, DOOR] as const;
const CONTROL_NAMES: ReadonlySet<string> = new Set(CONTROL_HEADERS.map((header) => header.toLowerCase()));

export function isControlHeader({ name }: HeaderField): boolean {
  return CONTROL_NAMES.has(name);
}

export function readControls(content: Buffer, fields: readonly HeaderField[]): ControlsRead {
  const values = new Map<string, string>();
  for (const header of CONTROL_HEADERS) {
    const given = fields.filter(({ name }) => name === header.toLowerCase());
    if (given.length === 0) continue;
    const value = valueOf(content, given[0]!);
    if (given.length > 1 || !PRINTABLE.test(value)) return { kind: "refused", header };
    values.set(header, value);
  }
  const [lane, expiresAt, idempotencyKey] = [values.get(LANE), values.get(EXPIRES_AT), values.get(IDEMPOTENCY_KEY)];
  return {
    kind: "controls",
    controls: {
      ...(lane === undefined ? {} : { lane }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      isBySendmail: values.get(DOOR) === "sendmail",
    },
  };
}

/** As long as an idempotency key may be, the longest of them. */
const PRINTABLE = /^[ -~]{1,256}$/;
