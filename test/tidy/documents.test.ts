// Documents and other text: links lead somewhere, and nothing names the machine or the registry it was made with.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { it } from "node:test";

import { projectRoot, readFiles, trackedPaths, type SourceFile } from "./source-tree.ts";

const TEXT_ENDINGS = [".ts", ".mjs", ".js", ".c", ".md", ".sql", ".json", ".yaml", ".yml", ".html", ".txt", ".csv"];

it("every relative link in the documents leads somewhere", () => {
  assert.deepEqual(readFiles([], [".md"]).flatMap(deadLinks), []);
});

it("every relative link: a planted dead one is seen", () => {
  const text = "# One\n[a](#one) [b](#two) [c](no-such-file.md) [d](https://example.com/)\n```\n[e](nowhere)\n```\n";
  assert.deepEqual(deadLinks({ path: "PLANTED.md", text }), [
    "PLANTED.md: #two leads nowhere",
    "PLANTED.md: no-such-file.md leads nowhere",
  ]);
});

function deadLinks(file: SourceFile): readonly string[] {
  const prose = file.text.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)]
    .map(([, link = ""]) => link)
    .filter((link) => !/^[a-z][a-z0-9+.-]*:/i.test(link))
    .filter((link) => !leadsSomewhere(file, link))
    .map((link) => `${file.path}: ${link} leads nowhere`);
}

function leadsSomewhere(file: SourceFile, link: string): boolean {
  const [target = "", anchor] = decodeURI(link).split("#");
  const full = path.resolve(projectRoot, path.dirname(file.path), target);
  if (target !== "" && !existsSync(full)) return false;
  if (anchor === undefined || (target !== "" && !target.endsWith(".md"))) return true;
  return headingAnchors(target === "" ? file.text : readFileSync(full, "utf8")).has(anchor);
}

/** As the common forges make them: lower case, punctuation away, spaces to hyphens, repeats numbered. */
function headingAnchors(text: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of text.replaceAll(/^```[\s\S]*?^```/gm, "").matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-");
    let anchor = slug;
    for (let repeat = 1; anchors.has(anchor); repeat++) anchor = `${slug}-${repeat}`;
    anchors.add(anchor);
  }
  return anchors;
}

it("no text names a registry host", () => {
  const found = readFiles([], TEXT_ENDINGS).filter(({ text }) => REGISTRY_HOST.test(text));
  assert.deepEqual(
    found.map((file) => file.path),
    [],
  );
});

const REGISTRY_HOST = /\bregistry\.[a-z0-9-]+\.[a-z]{2,}\b|\/artifactory\/|\bnpm\.pkg\./i;

it("no text names a path of the machine it was written on", () => {
  const found = readFiles([], TEXT_ENDINGS).flatMap(({ path: file, text }) =>
    text.split("\n").flatMap((line, index) => {
      const match = (file.endsWith(".md") ? MACHINE_PATH_IN_PROSE : MACHINE_PATH).exec(line);
      return match === null ? [] : [`${file}:${index + 1}: ${match[0]}`];
    }),
  );
  assert.deepEqual(found, []);
});

const MACHINE_PATH = /(?<![\w.$}-])\/(?:work|root|Users|home\/[a-z])\/[\w-]/;
const MACHINE_PATH_IN_PROSE = /(?<![\w.$}-])\/(?:work|root|Users|home\/[a-z]|tmp)\/[\w-]/;

it(
  "the lock file names no place that a package came from",
  { skip: !trackedPaths().includes("package-lock.json") },
  () => {
    const lock = readFileSync(path.join(projectRoot, "package-lock.json"), "utf8");
    assert.doesNotMatch(lock, /"resolved"\s*:/);
  },
);
