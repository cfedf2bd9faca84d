// What the agent's machine is up to: pressure, load, cores, free disk. Reads small files of the kernel and asks for the
// disk's size; what is not there is absent. The files and the disk come in as arguments, as does everything that may
// stand still.

import type { RelayReading } from "../mail/reading.ts";
import { parsePressure } from "./pressure.ts";

export interface MachinePorts {
  /** Undefined: there is no such file. */
  readonly readText: (path: string) => Promise<string | undefined>;
  readonly loadOf1Min: () => number;
  readonly cores: () => number;
  readonly diskOf: (
    path: string,
  ) => Promise<{ readonly bsize: number; readonly blocks: number; readonly bavail: number }>;
}

type MachineReading = Pick<
  RelayReading,
  | "pressure_io"
  | "pressure_cpu"
  | "pressure_memory"
  | "load_1min"
  | "cores"
  | "disk_free_bytes"
  | "disk_total_bytes"
  | "problems"
>;

export async function readMachine(spool: string | undefined, ports: MachinePorts): Promise<MachineReading> {
  const [io, cpu, memory] = await Promise.all(
    ["io", "cpu", "memory"].map(async (resource) => {
      const text = await ports.readText(`/proc/pressure/${resource}`);
      return text === undefined ? undefined : parsePressure(text);
    }),
  );
  return {
    ...(io === undefined ? {} : { pressure_io: io }),
    ...(cpu === undefined ? {} : { pressure_cpu: cpu }),
    ...(memory === undefined ? {} : { pressure_memory: memory }),
    load_1min: Math.round(ports.loadOf1Min() * 100) / 100,
    cores: ports.cores(),
    ...(spool === undefined ? {} : await readDisk(spool, ports)),
  };
}

/** What is available to those who are not root, as `df` has it: Postfix compares the same with `queue_minfree`. */
async function readDisk(
  spool: string,
  { diskOf }: MachinePorts,
): Promise<Pick<MachineReading, "disk_free_bytes" | "disk_total_bytes" | "problems">> {
  try {
    const { bsize, blocks, bavail } = await diskOf(spool);
    return { disk_free_bytes: bavail * bsize, disk_total_bytes: blocks * bsize };
  } catch (error) {
    return {
      problems: [`the disk of ${spool} cannot be asked: ${error instanceof Error ? error.message : String(error)}`],
    };
  }
}
