// The units of systemd that run Postlane as a service, as text: `postlane up` for everything, and where a relay beside it
// is to be measured, `postlane agent` for one outlet each. Pure: the same facts give the same text. Both may write into the
// data directory and nowhere else. What is left out on purpose, and why, stands in docs/guides/service.md.

export interface ServiceFacts {
  /** Absolute paths of this Node and of the compiled command line. */
  readonly nodePath: string;
  readonly mainPath: string;
  readonly configFile: string;
  /** Below `/var/lib`. */
  readonly dataDir: string;
  readonly user: string;
  /** Outlets whose relay on this machine wants an agent with a right of its own. */
  readonly agentOutlets: readonly string[];
  /** What such an agent writes to beside the data directory: Maildirs of failure notices. */
  readonly agentWrites: readonly string[];
  /** Where `sendmail` keeps what it could not hand over; absent: the front looks nowhere. */
  readonly sendmailSpool?: string;
}

export interface UnitFile {
  /** `postlane.service`. */
  readonly name: string;
  readonly text: string;
}

/** A unit without it was written by somebody else, and is left alone. */
export const UNIT_MARK = "# Made by `postlane service install`; your changes belong into `systemctl edit`.";

export const MAIN_UNIT = "postlane.service";
export const STATE_ROOT = "/var/lib/";

export function serviceUnits(facts: ServiceFacts): readonly UnitFile[] {
  const main = { name: MAIN_UNIT, text: mainUnit(facts) };
  return facts.agentOutlets.length === 0 ? [main] : [main, { name: "postlane-agent@.service", text: agentUnit(facts) }];
}

export function agentUnitOf(outlet: string): string {
  return `postlane-agent@${outlet}.service`;
}

/**
 * Of the supervisor: dispatchers have 45 s, then front and agents 45 s, then the embedded server 70 s. Killed earlier,
 * messages become `unknown`; later costs only the patience of a machine that shuts down with a hanging disk.
 */
const STOP_S_MAX = 45 + 45 + 70;
/** 2,000 idle SMTP sessions, as many by HTTP, the outlets' connections, the database's files, and room. */
const OPEN_FILES_MAX = 65_536;

function mainUnit(facts: ServiceFacts): string {
  return unitText([
    "[Unit]",
    "Description=Postlane, the mail engine of a website",
    "Wants=network-online.target",
    "After=network-online.target postgresql.service postfix.service",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${commandOf(facts, "up")}`,
    ...surroundings(facts),
    ...agentsApart(facts),
    ...(facts.sendmailSpool === undefined
      ? []
      : ["# The front takes away what it has handed over.", `ReadWritePaths=-${quoted(facts.sendmailSpool)}`]),
    "# The supervisor alone is told to stop; it drains the others in order.",
    "KillMode=mixed",
    `TimeoutStopSec=${STOP_S_MAX}`,
    "Restart=on-failure",
    "RestartSec=2",
    "# A child that the kernel killed for its memory is started again by the supervisor.",
    "OOMPolicy=continue",
    `LimitNOFILE=${OPEN_FILES_MAX}`,
    "",
    "# No right of root, and none to be had.",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    ...SANDBOX,
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  ]);
}

function agentUnit(facts: ServiceFacts): string {
  return unitText([
    "[Unit]",
    "Description=Postlane agent beside the relay of outlet %i",
    "Wants=network-online.target",
    `After=network-online.target postfix.service ${MAIN_UNIT}`,
    `PartOf=${MAIN_UNIT}`,
    "# As long as the database is not up, it comes again.",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${commandOf(facts, "agent --outlet %i")}`,
    ...surroundings(facts),
    ...(facts.agentWrites.length === 0
      ? []
      : [
          "# The Maildirs of failure notices.",
          `ReadWritePaths=${facts.agentWrites.map((at) => `-${quoted(at)}`).join(" ")}`,
        ]),
    "TimeoutStopSec=20",
    "Restart=always",
    "RestartSec=2",
    "",
    "# Postfix's queue folders are 0700 of its own user: to read them, and for nothing else, one right of root.",
    "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
    "AmbientCapabilities=CAP_DAC_READ_SEARCH",
    ...SANDBOX,
    "",
    "[Install]",
    `WantedBy=${MAIN_UNIT}`,
  ]);
}

const unitText = (lines: readonly string[]): string => `${[UNIT_MARK, ...lines].join("\n")}\n`;

function commandOf({ nodePath, mainPath, configFile }: ServiceFacts, command: string): string {
  return `${quoted(nodePath)} ${quoted(mainPath)} ${command} --config ${quoted(configFile)}`;
}

function surroundings({ user, dataDir, configFile }: ServiceFacts): readonly string[] {
  return [
    `User=${user}`,
    `Group=${user}`,
    `StateDirectory=${dataDir.slice(STATE_ROOT.length)}`,
    "StateDirectoryMode=0750",
    `WorkingDirectory=${dataDir}`,
    "# May hold DATABASE_URL with a password.",
    `EnvironmentFile=-${configFile.slice(0, configFile.lastIndexOf("/"))}/environment`,
    "UMask=0077",
  ];
}

/** These agents have a unit of their own: to the supervisor they are as far away as on another machine. */
function agentsApart({ agentOutlets }: ServiceFacts): readonly string[] {
  return agentOutlets.map(
    (outlet) => `Environment=POSTLANE_OUTLETS__${outlet.toUpperCase().replaceAll("-", "_")}__GAUGE__IS_REMOTE=true`,
  );
}

/** systemd reads `%` as a specifier, `$` as a variable, and takes quotes away. */
function quoted(path: string): string {
  const literal = path.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w%$@.+/-]+$/.test(literal) ? literal : `"${literal.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

const SANDBOX: readonly string[] = [
  "NoNewPrivileges=yes",
  "ProtectSystem=strict",
  "ProtectHome=yes",
  "PrivateTmp=yes",
  "PrivateDevices=yes",
  "ProtectClock=yes",
  "ProtectHostname=yes",
  "ProtectControlGroups=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
  "ProtectProc=invisible",
  "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "KeyringMode=private",
  "SystemCallArchitectures=native",
  "SystemCallFilter=@system-service",
  "SystemCallFilter=~@privileged @resources",
  "# Bulk lowers its own priority.",
  "SystemCallFilter=setpriority",
  "SystemCallErrorNumber=EPERM",
  "# Not MemoryDenyWriteExecute: V8 compiles as it runs. Not ProcSubset=pid: the journal is believed only under the boot",
  "# whose id stands in /proc/sys, and pressure is read from /proc/pressure. Not PrivateUsers: whose file it is, is looked",
  "# at in the spool of `sendmail`, and a capability would reach nothing.",
];
