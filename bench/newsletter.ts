// What the benchmarks send: a list with 1,000 destinations, and a template that merges to about 2 KB.

import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { once } from "node:events";

export const MESSAGE_BYTES = 2048;
export const DESTINATIONS = 1000;

const SENTENCE = "The quick brown fox jumps over the lazy dog, and then it goes back home to write about it. ";

/** A template folder; answers its path. */
export function writeTemplate(folder: string): string {
  const dir = path.join(folder, "template");
  mkdirSync(dir, { recursive: true });
  writeFileSync(
    path.join(dir, "template.yaml"),
    'from: "News <news@example.com>"\nsubject: "Hello {{ first_name }}"\n',
  );
  writeFileSync(path.join(dir, "body.txt"), `Hello {{ first_name }} of {{ city }},\n\n${SENTENCE.repeat(6)}\n`);
  writeFileSync(
    path.join(dir, "body.html"),
    `<html><body><h1>Hello {{ first_name }} of {{ city }}</h1><p>${SENTENCE.repeat(8)}</p></body></html>\n`,
  );
  return dir;
}

/** A CSV of so many recipients; answers its path. */
export async function writeList(folder: string, name: string, rows: number): Promise<string> {
  const file = path.join(folder, `${name}.csv`);
  const out = createWriteStream(file);
  out.write("email,first_name,city\n");
  for (let row = 0; row < rows; row++) {
    const isFull = !out.write(`user${row}@d${(row * 7919) % DESTINATIONS}.example.com,Ann ${row},Berlin\n`);
    if (isFull) await once(out, "drain");
  }
  out.end();
  await once(out, "finish");
  return file;
}
