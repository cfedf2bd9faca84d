// Addresses and mailboxes. The rules stand twice, here and in the database (`postlane.address_problem`), because the
// SQL door has no process in front of it; a test compares both. So they are plain regular expressions, in this order,
// and the first that holds is the answer:
//   no address · no @ · local part is empty · local part is longer than 64 octets · domain is longer than 253 octets
//   · address is longer than 254 octets · a character that an address cannot have · dots in the local part
//   · what looks like an encoded-word · the domain has fewer than two labels · the domain has a bad label
// Quoted local parts and address literals are refused by their characters. Nothing is looked up or changed in case.
// "=?" may stand in a local part by the RFCs, but there are readers that decode it, and see other addresses then.

export type MailboxParsed =
  | { readonly kind: "mailbox"; readonly name?: string; readonly address: string }
  | { readonly kind: "bad"; readonly reason: string };

/** `Ann <ann@example.com>` or `ann@example.com`, with the address checked. A name in quotes loses them. */
export function parseMailbox(text: string): MailboxParsed {
  if (CONTROL.test(text)) return { kind: "bad", reason: "a control character" };
  const parts = /^(.*)<([^<>]*)>\s*$/s.exec(text);
  const address = parts ? parts[2]! : text.replace(/^ +| +$/g, "");
  const reason = addressProblem(address);
  if (reason !== undefined) return { kind: "bad", reason };
  const name = parts ? unquoted(parts[1]!.trim()) : "";
  return name === "" ? { kind: "mailbox", address } : { kind: "mailbox", name, address };
}

/** Why the text cannot be an address, or undefined when it can. Lengths: RFC 5321 §4.5.3.1, characters: RFC 6531 §3.3. */
export function addressProblem(address: string): string | undefined {
  if (isPlainAddress(address)) return undefined;
  if (address === "") return "no address";
  const at = address.lastIndexOf("@");
  if (at < 0) return "no @";
  if (address.startsWith("@")) return "local part is empty";
  const local = address.slice(0, at);
  const domain = address.slice(at + 1);
  if (Buffer.byteLength(local) > LOCAL_OCTETS_MAX) return "local part is longer than 64 octets";
  if (Buffer.byteLength(domain) > DOMAIN_OCTETS_MAX) return "domain is longer than 253 octets";
  if (Buffer.byteLength(address) > ADDRESS_OCTETS_MAX) return "address is longer than 254 octets";
  if (IMPOSSIBLE.test(address) || local.includes("@")) return "a character that an address cannot have";
  if (/^\.|\.\.|\.$/.test(local)) return "dots in the local part";
  if (local.includes("=?")) return "what looks like an encoded-word";
  if (!domain.includes(".")) return "the domain has fewer than two labels";
  if (!LABELS.test(domain) || /[^.]{64}/u.test(domain)) return "the domain has a bad label";
  return undefined;
}

/** An address without a problem, for sure, and of ASCII alone, as nearly every one is. */
export function isPlainAddress(address: string): boolean {
  return PLAIN_ADDRESS.test(address) && address.length <= ADDRESS_OCTETS_MAX && !address.includes("=?");
}

/** The part after the last @, lower-cased. The local part's case is its owner's affair; the domain's never matters. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1).toLowerCase();
}

const LOCAL_OCTETS_MAX = 64;
/** RFC 1035 §2.3.4 allows 255 octets on the wire, which leaves 253 characters. */
const DOMAIN_OCTETS_MAX = 253;
/** A path is at most 256 octets with its angle brackets (RFC 5321 §4.5.3.1.3). */
const ADDRESS_OCTETS_MAX = 254;

/** What nearly every address is, in one look; whatever does not match goes through the rules one by one. */
const PLAIN_ADDRESS =
  /^(?=[^@]{1,64}@)[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
/**
 * White space of any script: readers split there. Lone surrogates too: they are no characters, and no text in the database
 * can hold one.
 */
const IMPOSSIBLE =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u0020"(),:;<>[\\\]\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\ud800-\udfff]/u;
const LABELS =
  /^(?:[A-Za-z0-9\u{a1}-\u{10ffff}](?:[A-Za-z0-9\u{a1}-\u{10ffff}-]*[A-Za-z0-9\u{a1}-\u{10ffff}])?\.)+[A-Za-z0-9\u{a1}-\u{10ffff}](?:[A-Za-z0-9\u{a1}-\u{10ffff}-]*[A-Za-z0-9\u{a1}-\u{10ffff}])?$/u;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

function unquoted(name: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/s.exec(name);
  return quoted ? quoted[1]!.replace(/\\(.)/gsu, "$1") : name;
}
