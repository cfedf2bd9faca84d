// main.cf and master.cf of an instance that Postlane makes, each setting with the reason for it. Pure text from a
// description; no path and no name is invented here. What is left out has Postfix's own default on purpose.

export type InstanceRole = "transactional" | "bulk" | "retries";

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface Instance {
  readonly name: string;
  readonly role: InstanceRole;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly configDir: string;
  readonly queueDir: string;
  readonly dataDir: string;
  readonly logFile: string;
  /** Where failure notices are delivered. */
  readonly maildir: string;
  /** Folder of all instances. */
  readonly root: string;
  readonly hostname: string;
  readonly returnsDomain: string;
  /** Who owns the Maildir, and so may read and delete in it. */
  readonly returnsUser: Account;
  /** Everything goes on through this host; absent: to the recipients' own. */
  readonly relayhost?: string;
}

/** By its first line, `postlane postfix check` knows an instance of ours. */
export const OUR_MARK = "# An instance of Postlane, made by `postlane postfix init`.";

/** `multi_instance_name`, and with it the name in the log. */
export const instanceName = (name: string): string => `postfix-postlane-${name}`;

interface RoleSettings {
  readonly lifetime: string;
  readonly backoffMin: string;
  readonly backoffMax: string;
  readonly queueRun: string;
  readonly connectTimeout: string;
  readonly answerTimeout: string;
  readonly processes: number;
  /** Of one destination. */
  readonly concurrency: number;
}

const ROLES: Readonly<Record<InstanceRole, RoleSettings>> = {
  transactional: {
    lifetime: "15m",
    backoffMin: "60s",
    backoffMax: "300s",
    queueRun: "30s",
    connectTimeout: "10s",
    answerTimeout: "60s",
    processes: 100,
    concurrency: 20,
  },
  bulk: {
    lifetime: "30m",
    backoffMin: "300s",
    backoffMax: "600s",
    queueRun: "60s",
    connectTimeout: "15s",
    answerTimeout: "120s",
    // Twice Postfix's default: 200 messages a second at a second each.
    processes: 200,
    concurrency: 20,
  },
  retries: {
    lifetime: "5m",
    // As long as the lifetime: a message is tried when it comes and once more.
    backoffMin: "300s",
    backoffMax: "300s",
    queueRun: "30s",
    connectTimeout: "10s",
    answerTimeout: "30s",
    processes: 100,
    // One dead destination holds a fiftieth of the processes at most.
    concurrency: 2,
  },
};

/**
 * Of the instance for retries: each message is a probe that Postlane has chosen the time of. Postfix itself would leave a
 * destination alone for `minimal_backoff_time` after one failure, and answer every probe from memory: limit 0 ends that.
 */
const PROBING = {
  initial_destination_concurrency: "1",
  smtp_destination_concurrency_failed_cohort_limit: "0",
  smtp_mx_address_limit: "3",
} as const;

type Section = readonly [why: string, settings: Readonly<Record<string, string>>];

export function renderMainCf(instance: Instance): string {
  const sections = sectionsOf(instance).map(([why, settings]) => [
    "",
    ...wrap(why).map((line) => `# ${line}`),
    ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`.trimEnd()),
  ]);
  return [OUR_MARK, "# It does not look at /etc/postfix, and nothing else uses it.", ...sections.flat(), ""].join("\n");
}

function sectionsOf(instance: Instance): readonly Section[] {
  return [...placeSections(instance), ...doorSections(), ...returnsSections(instance), ...deliverySections(instance)];
}

function placeSections(instance: Instance): readonly Section[] {
  return [
    ["Defaults of this level, whatever Postfix is installed later.", { compatibility_level: "3.6" }],
    [
      "Its own folders. The queue belongs to root and the data folder to postfix, as the daemons insist.",
      { queue_directory: instance.queueDir, data_directory: instance.dataDir },
    ],
    [
      "The name in its log. Not enabled for postmulti: it is started by `postfix -c`, apart from the system's own.",
      { multi_instance_name: instanceName(instance.name), multi_instance_enable: "no" },
    ],
    [
      "A log file of its own, which the agent follows. The journal may drop lines under load; this is evidence.",
      { maillog_file: instance.logFile, maillog_file_prefixes: instance.root },
    ],
    [
      "Queue ids that are never used twice and tell when a message came; the port says which session a line is about.",
      { enable_long_queue_ids: "yes", smtpd_client_port_logging: "yes" },
    ],
    [
      "In EHLO and in notices. Other servers want a name that resolves to this machine.",
      { myhostname: instance.hostname },
    ],
  ];
}

function doorSections(): readonly Section[] {
  return [
    [
      "Only this machine can reach it, and what comes from here may go anywhere.",
      {
        inet_interfaces: "127.0.0.1",
        mynetworks: "127.0.0.0/8",
        smtpd_relay_restrictions: "permit_mynetworks, reject_unauth_destination",
        smtpd_peername_lookup: "no",
        smtpd_tls_security_level: "none",
        disable_vrfy_command: "yes",
        authorized_submit_users: "root",
      },
    ],
    [
      "Mail is not changed: what is local for Postfix is rewritten otherwise, and DKIM signatures break.",
      {
        local_header_rewrite_clients: "",
        always_add_missing_headers: "no",
        append_dot_mydomain: "no",
        swap_bangpath: "no",
        allow_percent_hack: "no",
      },
    ],
    [
      "Postlane governs its own pace. Postfix would slow its client down by in_flow_delay, by counting connections, and after errors, and a campaign may have many recipients that are refused.",
      {
        in_flow_delay: "0s",
        smtpd_client_connection_count_limit: "0",
        smtpd_client_connection_rate_limit: "0",
        smtpd_client_message_rate_limit: "0",
        smtpd_client_recipient_rate_limit: "0",
        smtpd_error_sleep_time: "0s",
        smtpd_soft_error_limit: "100000",
        smtpd_hard_error_limit: "100000",
        smtpd_junk_command_limit: "100000",
        // Otherwise 10 s whenever all processes are busy.
        smtpd_timeout: "300s",
      },
    ],
    [
      "Addresses outside ASCII, and messages larger than any that Postlane takes: 10 MB, three times that when encoded.",
      { smtputf8_enable: "yes", message_size_limit: "52428800" },
    ],
  ];
}

function returnsSections({ maildir, returnsDomain, returnsUser }: Instance): readonly Section[] {
  const slash = maildir.lastIndexOf("/");
  return [
    [
      "Nothing is delivered on this machine but notices to the returns domain.",
      {
        mydestination: "",
        local_recipient_maps: "",
        local_transport: "error:5.1.1 nothing is delivered here",
        alias_maps: "",
        alias_database: "",
        relay_domains: "",
        fast_flush_domains: "",
        virtual_alias_maps: "",
      },
    ],
    [
      "Notices for any b+TOKEN of the returns domain are delivered into one Maildir, as the user whom the agent runs as. By SMTP one could be lost in silence: Postfix gives notices up after the lifetime below.",
      {
        virtual_mailbox_domains: returnsDomain,
        virtual_mailbox_base: maildir.slice(0, slash),
        virtual_mailbox_maps: `static:${maildir.slice(slash + 1)}/`,
        virtual_transport: "virtual",
        virtual_uid_maps: `static:${returnsUser.uid}`,
        virtual_gid_maps: `static:${returnsUser.gid}`,
        virtual_minimum_uid: String(returnsUser.uid),
        virtual_mailbox_limit: "0",
      },
    ],
    [
      "Notices are small and about failures only: Postlane needs their fields, and never the content.",
      { bounce_size_limit: "4096", delay_warning_time: "0h", notify_classes: "" },
    ],
  ];
}

function deliverySections({ role, relayhost }: Instance): readonly Section[] {
  const settings = ROLES[role];
  return [
    [
      "The plug comes home: what cannot be delivered in this time goes back to Postlane, where waiting costs nothing, and is tried again on its schedule. A notice lives no longer than a message anyway.",
      {
        maximal_queue_lifetime: settings.lifetime,
        bounce_queue_lifetime: settings.lifetime,
        minimal_backoff_time: settings.backoffMin,
        maximal_backoff_time: settings.backoffMax,
        queue_run_delay: settings.queueRun,
      },
    ],
    [
      "Delivery processes, and how long a silent server holds one. The final dot keeps Postfix's ten minutes: a shorter wait makes second copies.",
      {
        default_process_limit: "200",
        smtp_connect_timeout: settings.connectTimeout,
        smtp_helo_timeout: settings.answerTimeout,
        smtp_mail_timeout: settings.answerTimeout,
        smtp_rcpt_timeout: settings.answerTimeout,
        smtp_data_init_timeout: settings.answerTimeout,
        smtp_destination_concurrency_limit: String(settings.concurrency),
        ...(role === "retries" ? PROBING : {}),
      },
    ],
    ["TLS where the other side offers it.", { smtp_tls_security_level: "may" }],
    ...(relayhost === undefined ? [] : [relayhostSection(relayhost)]),
  ];
}

function relayhostSection(relayhost: string): Section {
  return ["Everything goes on through this host.", { relayhost }];
}

const COMMENT_CHARS_MAX = 110;

function wrap(text: string): readonly string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > COMMENT_CHARS_MAX) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

/** The services of a relay. None runs in a chroot: the folders hold no copies of system files. */
export function renderMasterCf({ role, port }: Instance): string {
  const processes = ROLES[role].processes;
  return `${OUR_MARK}
# The services of a relay, none of them in a chroot. There is no local(8) and no pipe(8): nothing runs a command.
# service type private unpriv chroot wakeup maxproc command
127.0.0.1:${port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - ${processes} smtp
relay unix - - n - ${processes} smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;
}
