import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { checkTemplate } from "./check-template.ts";
import { loadTemplateFolder } from "./load-template-folder.ts";

async function folder(t: TestContext, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "postlane-template-"));
  t.after(() => rm(dir, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
  return dir;
}

async function problemsOf(
  t: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<readonly string[]> {
  const loaded = await loadTemplateFolder(await folder(t, files));
  assert.equal(loaded.kind, "bad");
  return loaded.kind === "bad"
    ? loaded.problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`)
    : [];
}

test("a whole folder becomes plain JSON and a parsed template", async (t) => {
  const dir = await folder(t, {
    "template.yaml": 'from: Example <hello@example.com>\nsubject: "Hi {{ nmae }}"\npreheader: |\n  Look\n  {{ x }}\n',
    "body.html": "\ufeff<p>{{ name }}</p>",
    "body.txt": "{{ name }}",
  });
  const loaded = await loadTemplateFolder(dir);
  assert.equal(loaded.kind, "template");
  if (loaded.kind !== "template") return;
  assert.deepEqual(JSON.parse(JSON.stringify(loaded.source)), {
    from: "Example <hello@example.com>",
    subject: "Hi {{ nmae }}",
    preheader: "Look\n{{ x }}",
    html: "<p>{{ name }}</p>",
    text: "{{ name }}",
  });
  assert.deepEqual(
    checkTemplate(loaded.template, ["name"]).map(({ file, line, column }) => `${file}:${line}:${column}`),
    ["template.yaml:2:17", "template.yaml:5:4"],
  );
});

test("everything that is wrong is told, with its line", async (t) => {
  const yaml = "subjet: x\nfrom: nobody\npreheader: p\nreply_to: [a]\n";
  assert.deepEqual(await problemsOf(t, { "template.yaml": yaml, "body.txt": "x" }), [
    'template.yaml:1:1: unknown key "subjet"; known are from, reply_to, subject, preheader, headers, attachments, locale, time_zone',
    'template.yaml:4:1: "reply_to" must be a text',
    'template.yaml:1:1: the key "subject" is missing or empty',
    'template.yaml:2:7: "from": not a mailbox: no @',
    "template.yaml:3:12: a preheader needs a body.html",
  ]);
});

test("a syntax error in the subject has its line in template.yaml", async (t) => {
  const [problem] = await problemsOf(t, { "template.yaml": "\n\nsubject: Hi {{ a | nonsense }}", "body.txt": "x" });
  assert.equal(problem, "template.yaml:3:13: undefined filter: nonsense");
});

test("missing, unreadable and oversized files are problems, not crashes", async (t) => {
  assert.match((await problemsOf(t, { "body.txt": "x" }))[0]!, /^template\.yaml:1:1: there is no template\.yaml in /);
  assert.match((await problemsOf(t, { "template.yaml": "subject: x" }))[0]!, /neither body\.html nor body\.txt/);
  assert.deepEqual(await problemsOf(t, { "template.yaml": "subject: x", "body.txt": Buffer.from([0xff]) }), [
    "body.txt:1:1: is not UTF-8",
  ]);
  assert.deepEqual(await problemsOf(t, { "template.yaml": "subject: x", "body.txt": "x".repeat(1_000_001) }), [
    "body.txt:1:1: has 1000001 characters, at most 1000000 are taken",
  ]);
  assert.deepEqual(await problemsOf(t, { "template.yaml": `subject: x\n#${"x".repeat(70_000)}`, "body.txt": "x" }), [
    "template.yaml:1:1: has more than 65536 bytes",
  ]);
  assert.match((await problemsOf(t, { "template.yaml": "subject: [", "body.txt": "x" }))[0]!, /^template\.yaml:1:/);
  assert.match(
    (await problemsOf(t, { "template.yaml": "subject: x\nsubject: y", "body.txt": "x" }))[0]!,
    /^template\.yaml:2:1: /,
  );
});

test("headers, locale and partials are read; of shared partials only what is used, and a folder's own go before", async (t) => {
  const dir = await folder(t, {
    "template.yaml": 'subject: s\nheaders:\n  X-A: "{{ a }}"\nlocale: de\ntime_zone: Europe/Vienna\n',
    "body.html": "{% render 'foot' %}{% render 'sign' %}",
  });
  await mkdir(join(dir, "partials"));
  await writeFile(join(dir, "partials", "sign.html"), "own");
  await writeFile(join(dir, "partials", ".swp"), "x");
  const sharedDir = await folder(t, {
    "foot.html": "<p>foot</p>",
    "foot.txt": "for text",
    "sign.html": "shared",
    "unused.html": "{% nonsense %}",
  });
  const loaded = await loadTemplateFolder(dir, { sharedDir });
  assert.equal(loaded.kind, "template");
  if (loaded.kind !== "template") return;
  const { headers, locale, time_zone, partials, text } = loaded.source;
  assert.deepEqual({ ...headers, locale, time_zone }, { "X-A": "{{ a }}", locale: "de", time_zone: "Europe/Vienna" });
  assert.deepEqual(
    { ...partials },
    { "foot.html": "<p>foot</p>", "foot.txt": "for text", "sign.html": "own", "sign.txt": "own\n" },
  );
  assert.equal(text, "{% render 'foot' %}{% render 'sign' %}\n");
  assert.deepEqual(loaded.required, ["a"]);
});

test("what is wrong with headers, locale and partials has its place", async (t) => {
  const dir = await folder(t, {
    "template.yaml": "subject: s\nheaders:\n  Bcc: x\n  X-A: '{{ a'\nlocale: '!'\n",
    "body.txt": "x",
  });
  await mkdir(join(dir, "partials"));
  await writeFile(join(dir, "partials", "a b.html"), "x");
  const loaded = await loadTemplateFolder(dir, { sharedDir: join(dir, "nowhere") });
  assert.equal(loaded.kind, "bad");
  const told =
    loaded.kind === "bad" ? loaded.problems.map(({ file, line, message }) => `${file}:${line}: ${message}`) : [];
  assert.match(told[0]!, /^partials\/a b\.html:1: a partial is named like/);
  assert.match(told[1]!, /^partials:1: .*nowhere cannot be read/);
  assert.deepEqual(told.slice(2), [
    'template.yaml:5: "!" is not a locale, such as "de" or "pt-BR"',
    'template.yaml:3: headers: "Bcc": this header is written by Postlane',
  ]);
});
