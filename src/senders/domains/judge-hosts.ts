// What the DNS says of hosts: whether a sending address has a name that leads back to it, whether answers to From can come
// back, and whether the return domain takes mail. Pure.

import type { ReturnDomainAnswer } from "../../returns/check-return-domain.ts";
import type { DnsAnswer } from "./dns-answer.ts";
import { notAsked, okay, RULES, type Finding } from "./finding.ts";
import { harmlessText } from "./harmless-text.ts";
import { isSameIp, parseIp, reverseNameOf, type IpAddress } from "./ip-address.ts";
import type { SendingAddress } from "./sending-addresses.ts";
import { plainRecord } from "./txt-record.ts";

export interface ReverseFacts {
  /** Of the sender: for a name that may be given. */
  readonly domain: string;
  readonly address: SendingAddress;
  readonly names: DnsAnswer<string>;
  /** Of each name. */
  readonly addresses: readonly { readonly name: string; readonly answer: DnsAnswer<string> }[];
}

/** Forward-confirmed reverse DNS: one of its names has the address among its own. */
export function judgeReverse({ domain, address, names, addresses }: ReverseFacts): Finding {
  const { ip, origin } = address;
  const name = reverseNameOf(ip);
  const isRequired = origin === undefined;
  const from = origin === undefined ? ip.text : `${ip.text} (${origin})`;
  if (names.kind === "failed") return notAsked("ptr", name, names.reason, isRequired);
  const confirmed = addresses.find(({ answer }) => answer.kind === "answered" && leadsTo(answer.records, ip));
  if (confirmed !== undefined) {
    return {
      ...okay("ptr", name, `${from} is ${harmlessText(confirmed.name)}, and that leads back`),
      is_required: isRequired,
    };
  }
  const failed = addresses.map(({ answer }) => answer).find((answer) => answer.kind === "failed");
  if (failed !== undefined) return notAsked("ptr", name, failed.reason, isRequired);
  const [first] = names.records;
  const status = first === undefined ? "missing" : "wrong";
  const found =
    first === undefined
      ? `${from} has no name: whoever gave you the address sets its PTR record, such as this one, to a name whose ${kindOf(ip)} record is this address`
      : `${from} is called ${harmlessText(first)}, which does not lead back: give it the ${kindOf(ip)} record ${ip.text}`;
  const publish = first === undefined ? [plainRecord("PTR", name, `mail.${domain}.`, name)] : [];
  return { check: "ptr", name, status, is_required: isRequired, found, rule: RULES.ptr, publish };
}

function leadsTo(addresses: readonly string[], ip: IpAddress): boolean {
  return addresses.map(parseIp).some((address) => address !== undefined && isSameIp(address, ip));
}

function kindOf({ octets }: IpAddress): string {
  return octets.length === 4 ? "A" : "AAAA";
}

/** RFC 5321 §5.1: without an MX the address is the mail host. RFC 7505: an MX of "." says that there is none. */
export function judgeFromDomain(
  domain: string,
  mx: DnsAnswer<{ readonly exchange: string }>,
  addresses: DnsAnswer<string>,
): Finding {
  if (mx.kind === "failed") return notAsked("from_domain", domain, mx.reason);
  const base = { check: "from_domain", name: domain, is_required: true, rule: RULES.from } as const;
  const publish = [plainRecord("MX", domain, `10 mail.${domain}.`, domain)];
  if (mx.records.length > 0) {
    const hosts = mx.records.map(({ exchange }) => exchange).filter((host) => host !== "" && host !== ".");
    if (hosts.length > 0) return okay("from_domain", domain, `answers go to ${harmlessText(hosts[0]!)}`);
    return { ...base, status: "wrong", found: "its MX says that it takes no mail: answers cannot come back", publish };
  }
  if (addresses.kind === "failed") return notAsked("from_domain", domain, addresses.reason);
  if (addresses.records.length > 0) return okay("from_domain", domain, "has no MX; answers go to its address");
  return { ...base, status: "missing", found: "has neither an MX nor an address: answers cannot come back", publish };
}

export function judgeReturnDomain(domain: string, answer: ReturnDomainAnswer, fromDomain: string): Finding {
  const base = { check: "return_domain", name: domain, is_required: true, rule: RULES.returns } as const;
  switch (answer.kind) {
    case "takes_mail":
      return okay("return_domain", domain, "takes the failure notices");
    case "takes_none": {
      const publish = [plainRecord("MX", domain, `10 mail.${fromDomain}.`, domain)];
      const found = "takes no mail: give it the MX of a server that hands on to the returns door, such as this one";
      return { ...base, status: "missing", found, publish };
    }
    case "not_asked":
    case "canceled":
      return notAsked("return_domain", domain, "the DNS gave no answer");
  }
}
