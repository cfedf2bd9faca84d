// What lies under a path: file system, device, whether it turns. From /proc/self/mountinfo and /sys, as far as they can
// be read; what cannot be found out is absent. Only reads.

import { readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";
import type { DiskFacts } from "./judge-disk.ts";

type DeviceFacts = Pick<DiskFacts, "fileSystem" | "device" | "model" | "isRotational">;

export async function describeDevice(
  folder: string,
): Promise<DeviceFacts & { readonly deviceNumber: number; readonly mountPoint?: string }> {
  const real = await realpath(folder);
  const { dev } = await stat(real);
  const mount = findMount(await readOrNothing("/proc/self/mountinfo"), printDevice(dev), real);
  const block = mount === undefined ? undefined : `/sys/dev/block/${mount.device}`;
  return {
    deviceNumber: dev,
    ...(mount === undefined
      ? {}
      : { fileSystem: mount.fileSystem, device: mount.source, mountPoint: mount.mountPoint }),
    ...(block === undefined ? {} : await describeBlock(block)),
  };
}

export interface Mount {
  /** `254:0`. */
  readonly device: string;
  readonly mountPoint: string;
  readonly fileSystem: string;
  readonly source: string;
}

/** By the number of the device; where that is the file system's own (btrfs), by the longest path. */
export function findMount(mountinfo: string, device: string, real: string): Mount | undefined {
  const mounts = mountinfo
    .split("\n")
    .flatMap((line) => parseMount(line) ?? [])
    .filter(({ mountPoint }) => isBelow(real, mountPoint));
  // The last of those that are as near: a later mount covers an earlier one.
  const nearest = mounts.reduce<Mount | undefined>(
    (found, mount) => (found === undefined || mount.mountPoint.length >= found.mountPoint.length ? mount : found),
    undefined,
  );
  return mounts.findLast((mount) => mount.device === device) ?? nearest;
}

/** proc(5): `27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw`. */
function parseMount(line: string): Mount | undefined {
  const [, device, mountPoint, fileSystem, source] =
    /^\d+ \d+ (\d+:\d+) \S+ (\S+) .*? - (\S+) (\S+)/.exec(line.slice(0, MOUNT_CHARS_MAX)) ?? [];
  if (device === undefined || mountPoint === undefined || fileSystem === undefined || source === undefined) {
    return undefined;
  }
  return { device, mountPoint: unescape(mountPoint), fileSystem, source: unescape(source) };
}

const MOUNT_CHARS_MAX = 8192;

/** Blanks and backslashes are written as octal numbers. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8)));
}

function isBelow(real: string, mountPoint: string): boolean {
  return mountPoint === "/" || real === mountPoint || real.startsWith(`${mountPoint}/`);
}

/** A partition has no queue of its own: its disk, the folder above, has. */
async function describeBlock(block: string): Promise<Pick<DeviceFacts, "model" | "isRotational">> {
  const real = await realpath(block).catch(() => undefined);
  if (real === undefined) return {};
  for (const disk of [real, path.dirname(real)]) {
    const rotational = (await readOrNothing(path.join(disk, "queue/rotational"))).trim();
    if (rotational === "") continue;
    const model = (await readOrNothing(path.join(disk, "device/model"))).trim();
    return { isRotational: rotational === "1", ...(model === "" ? {} : { model }) };
  }
  return {};
}

/** The kernel's own packing of a device number (gnu_dev_major of glibc), as far as it fits 32 bits. */
function printDevice(dev: number): string {
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  return `${major}:${minor}`;
}

/** The CPU says so on x86; elsewhere the firmware's tables name the maker. */
export async function isVirtualMachine(): Promise<boolean> {
  if (/^flags\s*:.*\bhypervisor\b/m.test(await readOrNothing("/proc/cpuinfo"))) return true;
  const maker = await readOrNothing("/sys/class/dmi/id/sys_vendor");
  return /QEMU|VMware|Xen|innotek|Microsoft Corporation|Amazon EC2|Google|DigitalOcean|Hetzner/i.test(maker);
}

async function readOrNothing(file: string): Promise<string> {
  return await readFile(file, "utf8").catch(() => "");
}
