// `postlane service install --apply` on a machine whose /etc and /var are the test's own: what it makes, that a data
// directory which root has used becomes the service's, database and all, and that a second run finds nothing to do.

import assert from "node:assert/strict";
import { test } from "node:test";
import { mayHavePrivateFolders, runInPrivateFolders } from "../rig/private-folders.ts";
import { projectRoot } from "../tidy/source-tree.ts";

const SCRIPT = `
postlane() { "${process.execPath}" /opt/postlane/dist/src/doors/cli/main.js "$@" --config /etc/postlane/postlane.yaml 2>&1; }
as_service() { setpriv --reuid postlane --regid postlane --clear-groups --no-new-privs -- "$@"; }
mkdir /etc/postlane
groupadd --system postlane
echo '{}' > /etc/postlane/sendmail.json
echo "== without a configuration"; postlane service install --apply; echo "exit $?"
cat > /etc/postlane/postlane.yaml <<'END'
data_dir: /var/lib/postlane
from: "Example <hello@example.com>"
END
echo "== before"; postlane send --to ann@example.com --subject First --text Hello; echo "exit $?"
echo "== apply"; postlane service install --apply; echo "exit $?"
echo "== again"; postlane service install --apply --json; echo "exit $?"
echo "== start"; postlane service install --apply --start; echo "exit $?"
echo "== account"; grep ^postlane: /etc/passwd; stat -c '%U:%G %a %n' /etc/postlane/* /var/lib/postlane
echo "== strangers"; find /var/lib/postlane ! -user postlane
echo "== as the service"
postlane_as_service() { as_service "${process.execPath}" /opt/postlane/dist/src/doors/cli/main.js "$@" --config /etc/postlane/postlane.yaml 2>&1; }
postlane_as_service send --to ann@example.com --subject Second --text Hello; echo "exit $?"
echo "== a stranger's unit"; echo "# mine" > /etc/systemd/system/postlane.service; postlane service install --apply; echo "exit $?"
`;

test(
  "--apply makes user, rights and units, once, and the data root has used becomes the service's",
  { timeout: 150_000 },
  (t) => {
    if (!process.execPath.startsWith("/usr/")) {
      process.stderr.write(`SKIPPED: needs a Node below /usr, as a service does (${t.name})\n`);
      return t.skip("needs a Node below /usr");
    }
    if (!mayHavePrivateFolders(t)) return;
    const { status, stdout, stderr } = runInPrivateFolders(SCRIPT, projectRoot);
    assert.equal(status, 0, stdout + stderr);
    const said = partsOf(stdout);

    assert.match(
      said["without a configuration"]!,
      /there is no configuration \/etc\/postlane\/postlane\.yaml[^]*exit 1/,
    );
    assert.match(said["before"]!, /1 message accepted[^]*exit 0/);
    for (const line of [
      /^make user +postlane/m,
      /^let the service read +\/etc\/postlane\/postlane\.yaml/m,
      /^give away +\/var\/lib\/postlane/m,
      /^write unit +\/etc\/systemd\/system\/postlane\.service/m,
      /systemd does not run here/,
      /exit 0/,
    ]) {
      assert.match(said["apply"]!, line);
    }
    assert.match(said["again"]!, /"state":"nothing_to_do"[^]*exit 0/);
    assert.match(said["start"]!, /not started: systemd does not run here[^]*exit 1/);
    assert.match(said["account"]!, /^postlane:x:\d{1,3}:\d{1,3}:Postlane:\/var\/lib\/postlane:\/usr\/sbin\/nologin$/m);
    for (const line of [
      "root:root 644 /etc/postlane/sendmail.json",
      "root:postlane 640 /etc/postlane/postlane.yaml",
      "postlane:postlane 750 /var/lib/postlane",
    ]) {
      assert.ok(said["account"]!.includes(line), said["account"]);
    }
    assert.equal(said["strangers"], "");
    assert.match(said["as the service"]!, /sub_\d+: 1 message accepted[^]*exit 0/);
    assert.match(said["a stranger's unit"]!, /postlane\.service was not made by this command[^]*exit 1/);
  },
);

/** What stands below each heading. */
function partsOf(stdout: string): Readonly<Record<string, string>> {
  const parts = stdout.split(/^== /m).slice(1);
  return Object.fromEntries(
    parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trimEnd()]),
  );
}
