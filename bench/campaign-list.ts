// What a campaign run sends: a list of which some rows are doubled and some hold no address, and editions of a template that
// say in subject, text and HTML which one they are.

import { once } from "node:events";
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { finished } from "node:stream/promises";
import { DESTINATIONS } from "./newsletter.ts";

export interface WrittenList {
  readonly file: string;
  readonly rows: number;
  /** Who can get something, in the order of the file. */
  readonly listed: readonly string[];
  readonly doubled: number;
  readonly rejected: number;
}

/** Of so many rows, one that is no address and one that stood there before. */
const FAULTS_EVERY_ROWS = 100;

export async function writeFaultyList(folder: string, rows: number): Promise<WrittenList> {
  const file = path.join(folder, "list.csv");
  const out = createWriteStream(file);
  const listed: string[] = [];
  let [doubled, rejected] = [0, 0];
  out.write("email,first_name,city\n");
  for (let row = 0; row < rows; row++) {
    const place = row % FAULTS_EVERY_ROWS;
    let address = addressOf(row);
    if (place === 98) {
      address = addressOf(row - 50).toUpperCase();
      doubled++;
    } else if (place === 99) {
      address = `no address ${row}`;
      rejected++;
    } else listed.push(address);
    if (!out.write(`${address},Ann ${row},Berlin\n`)) await once(out, "drain");
  }
  out.end();
  await finished(out);
  return { file, rows, listed, doubled, rejected };
}

function addressOf(row: number): string {
  return `user${row}@d${(row * 7919) % DESTINATIONS}.example.com`;
}

/** For the sink: what it looks for in each message. */
export const EDITION_WORDS = String.raw`edition-\d+`;

const FILLING = "The quick brown fox jumps over the lazy dog, and then it goes back home. ";

/** A template folder; answers its path. The words stand where no encoding of a content cuts them. */
export function writeEdition(folder: string, number: number): string {
  const dir = path.join(folder, `edition-${number}`);
  mkdirSync(dir, { recursive: true });
  const word = `edition-${number}`;
  writeFileSync(path.join(dir, "template.yaml"), `from: "News <news@example.com>"\nsubject: "${word}"\n`);
  writeFileSync(
    path.join(dir, "body.txt"),
    `${word}\n\nHello {{ first_name }} of {{ city }}!\n\n${FILLING.repeat(6)}\n`,
  );
  writeFileSync(
    path.join(dir, "body.html"),
    `<html><body>\n<h1>\n${word}\n</h1>\n<p>Hello {{ first_name }} of {{ city }}! ${FILLING.repeat(6)}</p></body></html>\n`,
  );
  return dir;
}
