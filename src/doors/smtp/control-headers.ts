// What a mail says to Postlane by headers of its own, which never leave this machine: its lane, its list, when it expires, its
// idempotency key, and that it came by the sendmail command. Each may stand once, in printable ASCII; what it says is
// judged by the rules of entry.

import { isListName, LIST_NAME_EXPECTED } from "../../mail/list-name.ts";
import { valueOf, type HeaderField } from "./read-header.ts";

export interface Controls {
  readonly lane?: string;
  readonly list?: string;
  readonly expiresAt?: string;
  readonly idempotencyKey?: string;
  readonly isBySendmail: boolean;
}

export type ControlsRead =
  | { readonly kind: "controls"; readonly controls: Controls }
  | { readonly kind: "refused"; readonly header: string; readonly expected: string };

const LANE = "X-Postlane-Lane";
const LIST = "X-Postlane-List";
const EXPIRES_AT = "X-Postlane-Expires-At";
const IDEMPOTENCY_KEY = "X-Postlane-Idempotency-Key";
const DOOR = "X-Postlane-Door";
const CONTROL_HEADERS = [LANE, LIST, EXPIRES_AT, IDEMPOTENCY_KEY, DOOR] as const;
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
    const { expected, isWritten } = header === LIST ? LIST_VALUE : PRINTABLE_VALUE;
    if (given.length > 1 || !isWritten(value)) return { kind: "refused", header, expected };
    values.set(header, value);
  }
  const [lane, list, expiresAt, idempotencyKey] = [
    values.get(LANE),
    values.get(LIST),
    values.get(EXPIRES_AT),
    values.get(IDEMPOTENCY_KEY),
  ];
  return {
    kind: "controls",
    controls: {
      ...(lane === undefined ? {} : { lane }),
      ...(list === undefined ? {} : { list }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      isBySendmail: values.get(DOOR) === "sendmail",
    },
  };
}

/** As long as an idempotency key may be, the longest of them. */
const PRINTABLE = /^[ -~]{1,256}$/;
const PRINTABLE_VALUE = {
  expected: "1 to 256 characters of ASCII",
  isWritten: (value: string) => PRINTABLE.test(value),
};
/** The rules of entry do not look at what is kept beside a whole mail. */
const LIST_VALUE = { expected: LIST_NAME_EXPECTED, isWritten: isListName };
