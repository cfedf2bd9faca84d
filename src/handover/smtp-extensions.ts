// What a server said in its EHLO reply that it can do (RFC 5321 §4.1.1.1). Unknown keywords are left alone; after HELO,
// and again after STARTTLS, nothing is known.

export interface SmtpExtensions {
  readonly hasPipelining: boolean;
  /** SIZE was offered, so the parameter may be sent. */
  readonly hasSize: boolean;
  /** RFC 1870 §3: no number, or zero, means that no limit is known. */
  readonly sizeMax: number;
  readonly has8BitMime: boolean;
  readonly hasSmtpUtf8: boolean;
  readonly hasEnhancedCodes: boolean;
  /** Delivery status notifications (RFC 3461). */
  readonly hasDsn: boolean;
  readonly hasStartTls: boolean;
  /** In upper case. */
  readonly authMechanisms: readonly string[];
}

export const NO_EXTENSIONS: SmtpExtensions = {
  hasPipelining: false,
  hasSize: false,
  sizeMax: Number.POSITIVE_INFINITY,
  has8BitMime: false,
  hasSmtpUtf8: false,
  hasEnhancedCodes: false,
  hasDsn: false,
  hasStartTls: false,
  authMechanisms: [],
};

/** `lines` are those of the EHLO reply; the first one is the server's greeting. */
export function parseExtensions(lines: readonly string[]): SmtpExtensions {
  const offers = new Map<string, readonly string[]>();
  for (const line of lines.slice(1)) {
    // "AUTH=PLAIN" is how servers wrote it before RFC 2554; some still add that line for old clients.
    const [keyword, ...parameters] = line
      .trim()
      .toUpperCase()
      .replace(/^AUTH=/, "AUTH ")
      .split(/ +/);
    offers.set(keyword!, [...(offers.get(keyword!) ?? []), ...parameters]);
  }
  return {
    hasPipelining: offers.has("PIPELINING"),
    hasSize: offers.has("SIZE"),
    sizeMax: parseSizeMax(offers.get("SIZE")?.[0]),
    has8BitMime: offers.has("8BITMIME"),
    hasSmtpUtf8: offers.has("SMTPUTF8"),
    hasEnhancedCodes: offers.has("ENHANCEDSTATUSCODES"),
    hasDsn: offers.has("DSN"),
    hasStartTls: offers.has("STARTTLS"),
    authMechanisms: offers.get("AUTH") ?? [],
  };
}

function parseSizeMax(text: string | undefined): number {
  if (text === undefined || !/^\d{1,20}$/.test(text)) return Number.POSITIVE_INFINITY;
  return Number(text) || Number.POSITIVE_INFINITY;
}
