// A DNS record as it is to be published: as a line of a zone file, and as name and value for the form of a provider. Pure.

export interface DnsRecord {
  /** Without a dot behind it. */
  readonly name: string;
  /** The name as a form wants it that adds the domain by itself. */
  readonly short_name: string;
  readonly type: "TXT" | "PTR" | "MX";
  /** As one text, as forms want it. */
  readonly value: string;
  /** A line of a zone file. */
  readonly zone_line: string;
}

/** RFC 1035 §3.3: a character-string has 255 octets at most; a longer text is several of them, joined without a space. */
const STRING_OCTETS_MAX = 255;

/** Only for texts of ASCII. */
export function txtRecord(name: string, value: string, domain: string): DnsRecord {
  const strings = value.match(new RegExp(`.{1,${STRING_OCTETS_MAX}}`, "gs")) ?? [""];
  const written = strings.map((text) => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(" ");
  return { name, short_name: shortName(name, domain), type: "TXT", value, zone_line: `${name}. IN TXT ${written}` };
}

export function plainRecord(type: "PTR" | "MX", name: string, value: string, domain: string): DnsRecord {
  return { name, short_name: shortName(name, domain), type, value, zone_line: `${name}. IN ${type} ${value}` };
}

function shortName(name: string, domain: string): string {
  if (name === domain) return "@";
  return name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : name;
}
