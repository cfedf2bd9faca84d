// How a source file looks from outside: its name, its opening comment, its words.

import assert from "node:assert/strict";
import { it } from "node:test";

import { productionFiles, readFiles, type SourceFile } from "./source-tree.ts";

const openingLinesMax = 10;

/** What the list of words says not to say, where no other meaning is likely. */
const FORBIDDEN_WORDS: readonly { readonly word: RegExp; readonly say: string }[] = [
  { word: /\bsmart[ -]?hosts?\b/i, say: "relay" },
  { word: /\bblast(?:s|ed|ing)?\b/i, say: "campaign" },
  { word: /\bsubscribers?\b/i, say: "recipient" },
  { word: /\bcancelled\b/i, say: "canceled" },
  { word: /\bblack-?list(?:s|ed)?\b/i, say: "suppression list" },
  { word: /\bwhite-?list(?:s|ed)?\b/i, say: "allowed" },
];

it("every source file opens with a comment of one to ten lines", () => {
  const badly = productionFiles().filter((file) => {
    const lines = openingCommentLines(file);
    return lines < 1 || lines > openingLinesMax;
  });
  assert.deepEqual(
    badly.map((file) => `${file.path}: ${openingCommentLines(file)} lines`),
    [],
  );
});

function openingCommentLines({ text }: SourceFile): number {
  const lines = text.replace(/^#![^\n]*\n/, "").split("\n");
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return end === -1 ? lines.length : end;
}

it("file names are kebab-case", () => {
  const files = readFiles(["src", "test", "bench", "faults", "demo", "scripts"], [".ts", ".mjs", ".c"]);
  const badly = files.filter((file) => !/(^|\/)[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.(?:ts|mjs|c)$/.test(file.path));
  assert.deepEqual(
    badly.map((file) => file.path),
    [],
  );
});

it("the words are ours", () => {
  const found = readFiles(["src"], [".ts", ".sql"]).flatMap(wordsOutOfPlace);
  assert.deepEqual(found, []);
});

it("the words are ours: a planted word is seen", () => {
  assert.deepEqual(wordsOutOfPlace({ path: "src/a.ts", text: "// one\n// by the smart host\n" }), [
    'src/a.ts:2: not "smart host" but "relay"',
  ]);
});

function wordsOutOfPlace({ path, text }: SourceFile): readonly string[] {
  return text.split("\n").flatMap((line, index) =>
    FORBIDDEN_WORDS.flatMap(({ word, say }) => {
      const match = word.exec(line);
      return match === null ? [] : [`${path}:${index + 1}: not "${match[0]}" but "${say}"`];
    }),
  );
}
