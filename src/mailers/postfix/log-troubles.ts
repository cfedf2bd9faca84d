// Warnings and errors among log lines, for people: what Postfix's own check found.

import { readableText } from "../readable-text.ts";

const TROUBLE = /\b(?:warning|error|fatal|panic): (.{1,400})/;
const TROUBLES_MAX = 20;

export function troublesIn(text: string): readonly string[] {
  return text
    .split("\n")
    .flatMap((line) => TROUBLE.exec(line.slice(0, 2000))?.[1] ?? [])
    .slice(0, TROUBLES_MAX)
    .map(readableText);
}
