// Whether the domain of the return paths takes mail: without an MX or an address record no failure notice from the
// outside ever comes home. The resolver comes in as an argument. An answer that could not be had is no answer.

/** The part of `node:dns` that is asked; rejects with an error that has a `code`. */
export interface DomainResolver {
  resolveMx(domain: string): Promise<readonly { readonly exchange: string }[]>;
  resolve4(domain: string): Promise<readonly string[]>;
  resolve6(domain: string): Promise<readonly string[]>;
}

export type ReturnDomainAnswer =
  | { readonly kind: "takes_mail" }
  | { readonly kind: "takes_none"; readonly warning: string }
  | { readonly kind: "not_asked"; readonly warning: string }
  /** Whoever asked wants to know no more. */
  | { readonly kind: "canceled" };

export async function checkReturnDomain(domain: string, resolver: DomainResolver): Promise<ReturnDomainAnswer> {
  const mx = await ask(() => resolver.resolveMx(domain));
  if (mx.kind === "failed") return notAsked(domain, mx.reason);
  if (mx.records.length > 0) return judgeMx(domain, mx.records);
  // RFC 5321 §5.1: without an MX the address is the mail host.
  const [v4, v6] = [await ask(() => resolver.resolve4(domain)), await ask(() => resolver.resolve6(domain))];
  if ((v4.kind === "answered" && v4.records.length > 0) || (v6.kind === "answered" && v6.records.length > 0)) {
    return { kind: "takes_mail" };
  }
  const failed = [v4, v6].find((answer) => answer.kind === "failed");
  return failed === undefined
    ? takesNone(domain, "it has neither an MX nor an address record")
    : notAsked(domain, failed.reason);
}

/** RFC 7505: a single MX of "." says that the domain takes no mail. */
function judgeMx(domain: string, records: readonly { readonly exchange: string }[]): ReturnDomainAnswer {
  const isNull = records.every(({ exchange }) => exchange === "" || exchange === ".");
  return isNull ? takesNone(domain, "its MX says that it takes no mail") : { kind: "takes_mail" };
}

type Answer<Row> =
  | { readonly kind: "answered"; readonly records: readonly Row[] }
  | { readonly kind: "failed"; readonly reason: string };

/** No such name, or no such record there: an answer. SERVFAIL, a refusal, silence: none. */
const NONE: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

async function ask<Row>(question: () => Promise<readonly Row[]>): Promise<Answer<Row>> {
  try {
    return { kind: "answered", records: await question() };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return NONE.has(code) ? { kind: "answered", records: [] } : { kind: "failed", reason: code };
  }
}

function takesNone(domain: string, why: string): ReturnDomainAnswer {
  return {
    kind: "takes_none",
    warning:
      `WARNING: returns.domain ${domain} takes no mail (${why}): failure notices from other servers are lost. ` +
      "Give it an MX record of a server that hands on to the returns door (docs/guides/returns-door.md).",
  };
}

function notAsked(domain: string, reason: string): ReturnDomainAnswer {
  if (reason === "ECANCELLED") return { kind: "canceled" };
  return {
    kind: "not_asked",
    warning: `warning: whether returns.domain ${domain} takes mail could not be asked (${reason}): see \`resolvers\`.`,
  };
}
