// A mail as a program pipes it in: its lines ended by LF or CRLF, up to the end of input, or to a line that is a dot. What
// comes out has CRLF alone. A CR that ends no line and a NUL are refused: nobody may find out what the next server makes
// of them. Nothing else is changed, but for the line that mailboxes put in front ("From ann Mon…").

export type MailRead =
  | { readonly kind: "mail"; readonly octets: Buffer }
  | { readonly kind: "refused"; readonly problem: string };

export interface ReadLimits {
  readonly bytesMax: number;
  readonly endsAtDot: boolean;
}

export async function readMail(input: AsyncIterable<Buffer>, { bytesMax, endsAtDot }: ReadLimits): Promise<MailRead> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let dotAt: number | undefined;
  const dot = createDotFinder();
  for await (const chunk of input) {
    if (endsAtDot) dotAt = dot.find(chunk);
    // Where the dot's line begins, which may be in a chunk before.
    const end = dotAt === undefined ? undefined : bytes + dotAt;
    chunks.push(chunk);
    bytes = end ?? bytes + chunk.length;
    if (bytes > bytesMax) return tooLarge(bytesMax);
    if (end !== undefined) break;
  }
  return withCrlf(Buffer.concat(chunks).subarray(0, bytes).toString("latin1"), bytesMax);
}

/** Octets as characters, of the same number: a mail may be in any character set. */
export function withCrlf(text: string, bytesMax: number): MailRead {
  if (text.includes("\0")) return { kind: "refused", problem: "the mail contains a NUL: encode binary content" };
  if (/\r(?!\n)/.test(text)) {
    return { kind: "refused", problem: "the mail contains a CR that ends no line: end lines by LF or by CRLF" };
  }
  const lines = text.replace(/^>?From [^\n]*\n/, "").replaceAll(/\r?\n/g, "\r\n");
  const octets = Buffer.from(lines === "" || lines.endsWith("\r\n") ? lines : `${lines}\r\n`, "latin1");
  return octets.length > bytesMax ? tooLarge(bytesMax) : { kind: "mail", octets };
}

function tooLarge(bytesMax: number): MailRead {
  const problem = `the mail is larger than ${bytesMax} octets (message_bytes_max in /etc/postlane/sendmail.json)`;
  return { kind: "refused", problem };
}

/** Where in a chunk the line begins that is a dot and nothing else; below zero: in the one before. */
function createDotFinder(): { find(chunk: Buffer): number | undefined } {
  // The beginning of the mail is the beginning of a line.
  let before = "\n";
  return {
    find(chunk) {
      const text = before + chunk.toString("latin1");
      const found = /\n\.\r?\n/.exec(text);
      if (found !== null) return found.index + 1 - before.length;
      before = text.slice(-3);
      return undefined;
    },
  };
}
