// A shell script that sees /etc, /var and /opt as they are, and may change them: what it changes is written elsewhere and
// gone with it. A mount namespace with overlays, and nothing more: it starts no daemon, and has no /run, so that it finds
// no service manager either. /tmp is the machine's own, and is not to be touched. Assumes root and the right to mount.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";

export interface ScriptEnd {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const PREPARE = `set -eu
mount -t tmpfs tmpfs "$UPPERS"
for lower in etc var opt; do
  mkdir "$UPPERS/$lower" "$UPPERS/$lower/upper" "$UPPERS/$lower/work"
  mount -t overlay overlay -o "lowerdir=/$lower,upperdir=$UPPERS/$lower/upper,workdir=$UPPERS/$lower/work" "/$lower"
done
mount -t tmpfs tmpfs /run
mkdir -p /opt/postlane
mount --bind -o ro "$PROJECT" /opt/postlane
set +e
`;

const RUN_MS_MAX = 120_000;

/** Says loudly what is not tried: in many containers nobody may mount, so that is no failure. */
export function mayHavePrivateFolders(t: TestContext): boolean {
  if (runInPrivateFolders("exit 0", os.tmpdir()).status === 0) return true;
  process.stderr.write(`SKIPPED: folders of the test's own need root and the right to mount overlays (${t.name})\n`);
  t.skip("needs root and the right to mount overlays");
  return false;
}

/** `project` is what stands at /opt/postlane there. */
export function runInPrivateFolders(script: string, project: string): ScriptEnd {
  const uppers = mkdtempSync(path.join(os.tmpdir(), "postlane-uppers-"));
  try {
    return spawnSync("unshare", ["--mount", "--propagation", "private", "sh", "-c", PREPARE + script], {
      encoding: "utf8",
      timeout: RUN_MS_MAX,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", UPPERS: uppers, PROJECT: project },
    });
  } finally {
    rmdirSync(uppers);
  }
}
