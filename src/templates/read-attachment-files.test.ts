import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { ATTACHMENTS_BYTES_MAX } from "./attachment-problems.ts";
import { loadTemplateFolder } from "./load-template-folder.ts";

const LOGO = Buffer.from("89504e470d0a1a0a", "hex");

/** A folder `template` beside a file that is none of its business. */
async function folder(t: TestContext, attachments: string): Promise<string> {
  const around = await mkdtemp(path.join(tmpdir(), "postlane-attachments-"));
  t.after(() => rm(around, { recursive: true }));
  const dir = path.join(around, "template");
  await mkdir(path.join(dir, "files"), { recursive: true });
  await writeFile(path.join(around, "secret.txt"), "secret");
  await writeFile(path.join(dir, "template.yaml"), `subject: s\nattachments:\n${attachments}`);
  await writeFile(path.join(dir, "body.html"), '<img src="cid:logo">');
  await writeFile(path.join(dir, "files", "logo.png"), LOGO);
  await writeFile(path.join(dir, "files", "terms.txt"), "");
  return dir;
}

async function problemsIn(dir: string): Promise<readonly string[]> {
  const loaded = await loadTemplateFolder(dir);
  assert.equal(loaded.kind, "bad");
  return loaded.kind === "bad"
    ? loaded.problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`)
    : [];
}

test("files are read with what is said of them, in their order", async (t) => {
  const dir = await folder(
    t,
    "  - {file: files/logo.png, content_id: logo}\n" +
      '  - file: ./files/terms.txt\n    filename: "Größe.txt"\n    content_type: text/plain; charset=utf-8\n',
  );
  const loaded = await loadTemplateFolder(dir);
  if (loaded.kind === "bad") assert.fail(JSON.stringify(loaded.problems));
  assert.deepEqual(loaded.source.attachments, [
    { filename: "logo.png", content_id: "logo", bytes: 8 },
    { filename: "Größe.txt", content_type: "text/plain; charset=utf-8", bytes: 0 },
  ]);
  assert.deepEqual(
    loaded.octets.map((octets) => Buffer.from(octets)),
    [LOGO, Buffer.alloc(0)],
  );
});

test("nothing outside of the folder is read, whichever way it is named", async (t) => {
  const dir = await folder(t, "");
  await symlink("../../secret.txt", path.join(dir, "files", "link.txt"));
  await symlink("../..", path.join(dir, "files", "up"));
  await symlink("logo.png", path.join(dir, "files", "inside.png"));
  const files = ["../secret.txt", "files/../../secret.txt", path.join(dir, "files/logo.png"), "..", '""'];
  const links = ["files/link.txt", "files/up/secret.txt"];
  const yaml = [...files, ...links, "files/inside.png"].map((file) => `  - file: ${file}\n`).join("");
  await writeFile(path.join(dir, "template.yaml"), `subject: s\nattachments:\n${yaml}`);
  assert.deepEqual(await problemsIn(dir), [
    ...files.map(
      (file, at) =>
        `template.yaml:${at + 3}:5: "${file === '""' ? "" : file}" is not a file within the template's folder, such as attachments/terms.pdf`,
    ),
    ...links.map(
      (file, at) =>
        `template.yaml:${at + 8}:5: "${file}" leads out of the template's folder: put the file itself there`,
    ),
  ]);
});

test("what is no plain file, is not there, or is no list has its line and column", async (t) => {
  const dir = await folder(
    t,
    "  - file: files\n  - {content_id: x}\n  - {file: files/logo.png, path: x}\n  - logo.png\n",
  );
  assert.deepEqual(await problemsIn(dir), [
    'template.yaml:4:5: an attachment needs "file"; for example `- file: attachments/terms.pdf`',
    'template.yaml:5:28: unknown key "path" of an attachment; known are file, filename, content_type, content_id',
    "template.yaml:6:5: an attachment is a map; for example `- file: attachments/terms.pdf`",
    'template.yaml:3:5: "files" is not a file',
  ]);
  assert.match(
    (await problemsIn(await folder(t, "  - file: nowhere.png\n")))[0]!,
    /^template\.yaml:3:5: "nowhere\.png" cannot be read: ENOENT/,
  );
  assert.deepEqual(await problemsIn(await folder(t, "  file: files/logo.png\n")), [
    'template.yaml:2:1: "attachments" must be a list; for example `- file: attachments/terms.pdf`',
  ]);
});

test("names, types and ids are those that a mail can carry", async (t) => {
  const dir = await folder(
    t,
    '  - {file: files/logo.png, filename: "a\\nb"}\n  - {file: files/logo.png, content_type: message/rfc822}\n' +
      "  - {file: files/logo.png, content_id: <x>}\n  - {file: files/logo.png, content_id: x}\n" +
      '  - {file: files/terms.txt, content_id: x}\n  - {file: files/logo.png, filename: "\\ud800.png"}\n',
  );
  const problems = await problemsIn(dir);
  assert.deepEqual(
    problems.map((problem) => /^template\.yaml:\d+:5: attachments\[\d\]\.\w+: /.exec(problem)?.[0]),
    [
      "template.yaml:3:5: attachments[0].filename: ",
      "template.yaml:4:5: attachments[1].content_type: ",
      "template.yaml:5:5: attachments[2].content_id: ",
      "template.yaml:7:5: attachments[4].content_id: ",
      "template.yaml:8:5: attachments[5].filename: ",
    ],
    problems.join("\n"),
  );
});

test("fifty, and ten mebibytes together, are taken, and not one more", async (t) => {
  const fifty = "  - file: files/logo.png\n".repeat(50);
  assert.equal((await loadTemplateFolder(await folder(t, fifty))).kind, "template");
  assert.deepEqual(await problemsIn(await folder(t, `${fifty}  - file: files/logo.png\n`)), [
    "template.yaml:53:5: the template has more than 50 attachments: put several files into one archive",
  ]);
  const dir = await folder(t, "  - file: files/large.bin\n");
  await writeFile(path.join(dir, "files", "large.bin"), Buffer.alloc(ATTACHMENTS_BYTES_MAX));
  assert.equal((await loadTemplateFolder(dir)).kind, "template");
  const both = "subject: s\nattachments:\n  - file: files/large.bin\n  - file: files/logo.png\n";
  await writeFile(path.join(dir, "template.yaml"), both);
  assert.deepEqual(await problemsIn(dir), [
    "template.yaml:4:5: the attachments have more than 10485760 bytes: link to large files instead of sending them",
  ]);
});
