import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { describeDevice, findMount } from "./disk-device.ts";

const MOUNTS = String.raw`22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
40 27 8:17 / /srv/my\040disk rw - xfs /dev/sdb1 rw
41 27 0:50 /@data /data rw - btrfs /dev/sdc rw
42 27 0:51 / /data/cache rw - tmpfs tmpfs rw
nonsense
`;

const rows = [
  ["254:0", "/var/spool/postfix", "ext4", "/dev/vda"],
  ["8:17", "/srv/my disk/spool", "xfs", "/dev/sdb1"],
  ["0:99", "/data/spool", "btrfs", "/dev/sdc"],
  ["0:51", "/data/cache/x", "tmpfs", "tmpfs"],
  ["0:99", "/database", "ext4", "/dev/vda"],
] as const;

for (const [device, path, fileSystem, source] of rows) {
  test(`${path} lies on ${source}`, () => {
    const mount = findMount(MOUNTS, device, path);
    assert.deepEqual([mount?.fileSystem, mount?.source], [fileSystem, source]);
  });
}

test("what a real folder lies on is found out without failing", async () => {
  const { deviceNumber, fileSystem } = await describeDevice(tmpdir());
  assert.ok(deviceNumber > 0);
  if (process.platform === "linux") assert.match(fileSystem ?? "", /^[a-z0-9.]+$/);
});

test("a folder that is not there is an error", async () => {
  await assert.rejects(describeDevice("/no/such/folder"), { code: "ENOENT" });
});
