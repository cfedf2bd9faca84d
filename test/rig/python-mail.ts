// Python's `email` as a reader of mail: one process for as many mails as a test has, a line of JSON for each. It says what
// it has read and what it found wrong with it, and judges nothing.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Scope } from "./scope.ts";

export interface PythonMail {
  readonly subject: string | null;
  readonly from: readonly PythonMailbox[];
  readonly to: readonly PythonMailbox[];
  readonly cc: readonly PythonMailbox[];
  readonly names: readonly string[];
  /** `["multipart/mixed", ["text/plain"], ["image/png"]]`. */
  readonly tree: unknown;
  readonly text: string | null;
  readonly html: string | null;
  readonly attachments: readonly PythonAttachment[];
  /** Of the mail and all its parts and headers. */
  readonly defects: readonly string[];
}

export interface PythonMailbox {
  readonly name: string;
  readonly address: string;
}

export interface PythonAttachment {
  readonly filename: string | null;
  readonly type: string;
  readonly id: string | null;
  readonly disposition: string | null;
  readonly octets: Buffer;
}

export interface PythonReader {
  read(mail: Buffer): Promise<PythonMail>;
}

const PROGRAM = `
import base64, email, email.policy, json, sys

def mailboxes(field):
    return [] if field is None else [{"name": a.display_name, "address": a.addr_spec} for a in field.addresses]

def tree(part):
    return [part.get_content_type()] + [tree(each) for each in (part.iter_parts() if part.is_multipart() else [])]

def attachment(part):
    return {"filename": part.get_filename(), "type": part.get_content_type(), "id": part["content-id"],
        "disposition": part.get_content_disposition(),
        "octets": base64.b64encode(part.get_payload(decode=True)).decode()}

def defects(part):
    found = list(part.defects)
    for value in part.values():
        found += getattr(value, "defects", [])
    return ["%s: %s" % (type(each).__name__, each) for each in found]

for line in sys.stdin:
    mail = email.message_from_bytes(base64.b64decode(line), policy=email.policy.default)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    parts = list(mail.walk())
    bodies = [part for part in (text, html) if part is not None]
    others = [part for part in parts if not part.is_multipart() and not any(part is body for body in bodies)]
    print(json.dumps({
        "subject": mail["subject"], "from": mailboxes(mail["from"]), "to": mailboxes(mail["to"]),
        "cc": mailboxes(mail["cc"]), "names": mail.keys(), "tree": tree(mail),
        "text": None if text is None else text.get_content(), "html": None if html is None else html.get_content(),
        "attachments": [attachment(part) for part in others], "defects": sum((defects(part) for part in parts), []),
    }), flush=True)
`;

/** Ends with the test. One mail at a time is read; several may be asked for. */
export function startPython(t: Scope): PythonReader {
  const child = spawn("python3", ["-c", PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
  const waiting: ((line: string | undefined) => void)[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => waiting.shift()?.(line));
  lines.once("close", () => {
    for (const answer of waiting.splice(0)) answer(undefined);
  });
  t.after(async () => {
    const closed = new Promise((resolve) => void child.once("close", resolve));
    child.stdin.end();
    await closed;
  });
  return {
    async read(mail) {
      const answer = new Promise<string | undefined>((resolve) => void waiting.push(resolve));
      child.stdin.write(`${mail.toString("base64")}\n`);
      const line = await answer;
      assert.ok(line !== undefined, "python3 ended: its error stands on standard error");
      const read = JSON.parse(line) as PythonMail & { attachments: readonly { readonly octets: string }[] };
      const octetsOf = ({ octets }: { readonly octets: unknown }): Buffer => Buffer.from(octets as string, "base64");
      return { ...read, attachments: read.attachments.map((each) => ({ ...each, octets: octetsOf(each) })) };
    },
  };
}
