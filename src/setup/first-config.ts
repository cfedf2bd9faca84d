// The first postlane.yaml, as text: what was answered, a line about each key, and as comments what one is likely to change
// next. Pure. Every text from outside goes in as a JSON string, which YAML reads as the same text. Holds no password but
// the one of a database's address, which the file's mode then protects.

export type WayOut =
  /** Kept on this machine. */
  | { readonly kind: "capture" }
  /** Somebody else's server, or our own Postfix. */
  | { readonly kind: "postfix" | "relay"; readonly host: string; readonly tls: Tls }
  | {
      readonly kind: "provider";
      readonly host: string;
      readonly tls: Tls;
      readonly user: string;
      /** As it stands in the file: relative to its folder, or absolute. */
      readonly passwordFile: string;
    };

export const TLS = ["off", "opportunistic", "required", "implicit"] as const;
export type Tls = (typeof TLS)[number];

export const WAYS_IN = ["http", "smtp", "sendmail", "sql"] as const;
export type WayIn = (typeof WAYS_IN)[number];

export interface FirstConfig {
  readonly wayOut: WayOut;
  readonly from: string;
  /** Absent: the embedded database. */
  readonly databaseUrl?: string;
  /** Absent: beside the file. */
  readonly dataDir?: string;
  readonly waysIn: readonly WayIn[];
}

export function firstConfigText(config: FirstConfig): string {
  const parts = [
    HEADING,
    dataPart(config),
    fromPart(config),
    doorsPart(config),
    lanesPart(config),
    outletsPart(config),
  ];
  return `${[...parts, LAST].map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

const HEADING = [
  "# Postlane's configuration, by `postlane init`. Every key is optional; what is commented out shows its default or what",
  "# one may want next. A mistake is told with its line. `postlane up` reads it when it starts.",
];

function dataPart({ dataDir = "./postlane-data", databaseUrl }: FirstConfig): readonly string[] {
  return [
    "# Journal, log, kept mail, and the embedded database: on a disk of this machine. Relative to this file.",
    `data_dir: ${text(dataDir)}`,
    "",
    "# A PostgreSQL of your own, 15 or later, direct and not through a pooler; without it, the embedded one.",
    databaseUrl === undefined
      ? '# database_url: "postgres://postlane@localhost/site"'
      : `database_url: ${text(databaseUrl)}`,
  ];
}

function fromPart({ from }: FirstConfig): readonly string[] {
  return [
    "# Who mail is from that does not say so itself.",
    `from: ${text(from)}`,
    "",
    "# Where the world reaches listen.http, through a proxy with TLS: newsletters need it, for people who unsubscribe.",
    '# public_url: "https://mail.example.com"',
  ];
}

function doorsPart({ waysIn }: FirstConfig): readonly string[] {
  const sendsBySmtp = waysIn.includes("smtp") || waysIn.includes("sendmail");
  return [
    "# Where mail comes in. By SQL it needs no door: postlane.enqueue, in your own transaction.",
    "listen:",
    "  # POST /emails for those who have a key (`postlane key create`); metrics and health for this machine.",
    '  http: "127.0.0.1:2580"',
    "  # SMTP without a password, for this machine alone; `sendmail` comes in here too.",
    sendsBySmtp ? '  smtp: "127.0.0.1:2525"' : "  smtp: off",
    "  # Bounces from the outside, once returns.domain is set.",
    '  # returns: "127.0.0.1:2526"',
    ...(waysIn.includes("sendmail")
      ? [
          "# A folder for what `sendmail` could not hand over, of all users: docs/guides/sendmail.md.",
          "# sendmail: { spool: /var/spool/postlane }",
        ]
      : []),
  ];
}

function lanesPart({ wayOut }: FirstConfig): readonly string[] {
  const outlets = `outlets: [${outletOf(wayOut)}]`;
  return [
    "# Classes of mail, each with a process of its own: transactional overtakes, bulk gives way.",
    "lanes:",
    "  transactional:",
    `    ${outlets}`,
    '    # ttl: "3 days"                # after it, what was not sent is expired',
    "  bulk:",
    `    ${outlets}`,
    '    # ttl: "7 days"',
    "    # unknown: hold                # what became of it is not known: hold it for you, or resend",
  ];
}

function outletsPart({ wayOut }: FirstConfig): readonly string[] {
  const title = "# The ways out. `capture` keeps mail on this machine: `postlane captured list`.";
  if (wayOut.kind === "capture") {
    return [
      title,
      "outlets:",
      "  default: { type: capture }",
      '  # relay: { type: smtp, hosts: ["127.0.0.1:25"] }    # then name it in the lanes above',
    ];
  }
  return [
    title,
    "outlets:",
    `  ${outletOf(wayOut)}:`,
    "    type: smtp",
    `    hosts: [${text(wayOut.host)}]     # more of them share the mail`,
    `    tls: ${text(wayOut.tls)}     # off, opportunistic, required, implicit`,
    ...authLines(wayOut),
    ...(wayOut.kind === "postfix"
      ? [
          "    # gauge: { type: postfix }    # measure its queue and read its log, as root or by `postlane service install`",
        ]
      : []),
    '    # max_rate: "100/s"             # never faster than this',
  ];
}

function authLines(wayOut: WayOut): readonly string[] {
  if (wayOut.kind !== "provider") return [];
  return [`    auth: { user: ${text(wayOut.user)}, password_file: ${text(wayOut.passwordFile)} }`];
}

const LAST = [
  "# A domain of yours, with an MX that leads here, whose mail is failure notices: then what bounces later is known.",
  "# returns: { domain: returns.example.com }",
];

/** The name under which the lanes know it. */
export function outletOf({ kind }: WayOut): string {
  return kind === "capture" ? "default" : kind;
}

const text = (given: string): string => JSON.stringify(given);
