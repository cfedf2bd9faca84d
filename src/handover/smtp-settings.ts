// What an SMTP outlet can be told, and what it does when it is not told. Plain data: reading and checking the
// configuration file is the platform's part; what would end in broken SMTP is refused here all the same.

export type TlsMode = "off" | "opportunistic" | "required";

export interface SmtpHost {
  readonly host: string;
  readonly port: number;
  /** Share of the connections, relative to the other hosts; above zero. */
  readonly weight: number;
}

export interface SmtpAuth {
  readonly user: string;
  readonly password: string;
}

/** One timer per phase, restarted by each reply (RFC 5321 §4.5.3.2). */
export interface SmtpTimeouts {
  readonly connectMs: number;
  readonly bannerMs: number;
  readonly ehloMs: number;
  readonly starttlsMs: number;
  readonly authMs: number;
  readonly mailMs: number;
  readonly rcptMs: number;
  readonly dataMs: number;
  /** For each block of a content that the server is slow to read. */
  readonly blockMs: number;
  readonly dotMs: number;
  readonly rsetMs: number;
  readonly quitMs: number;
}

const MINUTE_MS = 60_000;

// RFC 5321 §4.5.3.2.1 to 2.6; the rest is Postfix's habit: connect 30 s, RSET 20 s. A QUIT nobody waits for.
export const DEFAULT_TIMEOUTS: SmtpTimeouts = {
  connectMs: 30_000,
  bannerMs: 5 * MINUTE_MS,
  ehloMs: 5 * MINUTE_MS,
  starttlsMs: 5 * MINUTE_MS,
  authMs: 5 * MINUTE_MS,
  mailMs: 5 * MINUTE_MS,
  rcptMs: 5 * MINUTE_MS,
  dataMs: 2 * MINUTE_MS,
  blockMs: 3 * MINUTE_MS,
  dotMs: 10 * MINUTE_MS,
  rsetMs: 20_000,
  quitMs: 2_000,
};

export interface SmtpOutletSettings {
  readonly name: string;
  readonly hosts: readonly SmtpHost[];
  /** The name we give in EHLO: a host name, or an address literal in brackets. */
  readonly heloName: string;
  /** `required` wants a certificate that verifies for the host; `opportunistic` takes any, or none. */
  readonly tls?: TlsMode;
  /** TLS from the first octet (port 465, RFC 8314). The certificate is verified when `tls` is `required`. */
  readonly implicitTls?: boolean;
  /** Certificates in PEM to trust in place of the system's. */
  readonly ca?: string;
  /** The name that the certificate must carry, when it is not the host's. */
  readonly servername?: string;
  readonly auth?: SmtpAuth;
  readonly connectionsMax?: number;
  readonly messagesPerConnectionMax?: number;
  readonly connectionAgeMsMax?: number;
  /** A connection with nothing to do is given back to the relay after this long. */
  readonly idleMs?: number;
  readonly timeouts?: Partial<SmtpTimeouts>;
}

export interface CompleteSmtpSettings {
  readonly name: string;
  readonly hosts: readonly SmtpHost[];
  readonly heloName: string;
  readonly tls: TlsMode;
  readonly implicitTls: boolean;
  readonly ca: string | undefined;
  readonly servername: string | undefined;
  readonly auth: SmtpAuth | undefined;
  readonly connectionsMax: number;
  readonly messagesPerConnectionMax: number;
  readonly connectionAgeMsMax: number;
  readonly idleMs: number;
  readonly timeouts: SmtpTimeouts;
}

export function completeSmtpSettings(settings: SmtpOutletSettings): CompleteSmtpSettings {
  assertSpeakable(settings);
  return {
    name: settings.name,
    hosts: settings.hosts,
    heloName: settings.heloName,
    tls: settings.tls ?? "opportunistic",
    implicitTls: settings.implicitTls ?? false,
    ca: settings.ca,
    servername: settings.servername,
    auth: settings.auth,
    connectionsMax: settings.connectionsMax ?? 20,
    messagesPerConnectionMax: settings.messagesPerConnectionMax ?? 1000,
    connectionAgeMsMax: settings.connectionAgeMsMax ?? 5 * MINUTE_MS,
    idleMs: settings.idleMs ?? 5_000,
    timeouts: { ...DEFAULT_TIMEOUTS, ...settings.timeouts },
  };
}

function assertSpeakable(settings: SmtpOutletSettings): void {
  const { name, hosts, heloName } = settings;
  if (hosts.length === 0) throw new Error(`outlet ${name}: it has no host`);
  if (hosts.some((host) => !(host.weight > 0))) throw new Error(`outlet ${name}: the weight of a host must be above 0`);
  if (!/^[A-Za-z0-9.:_[\]-]{1,255}$/.test(heloName)) {
    throw new Error(`outlet ${name}: "${heloName}" cannot stand in EHLO; give a host name or an address in brackets`);
  }
}
