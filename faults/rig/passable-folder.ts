// A temporary folder that a server of another user can pass through, gone with the scope.

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Scope } from "../../test/rig/scope.ts";

export function makePassableFolder(scope: Scope, name: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), `postlane-${name}-`));
  scope.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  chmodSync(folder, 0o711);
  return folder;
}
