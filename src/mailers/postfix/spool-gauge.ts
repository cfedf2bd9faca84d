// A spool asked for again and again, once a second and for good. What a large spool costs is bounded by a rule: each of
// the three parts of a reading (the working queue, what is parked, the sample) is measured anew only when so many times
// its last cost has passed, and is the last one's result until then. So a spool of 20,000 files is fresh every few
// seconds, and one with a million deferred files (1.6 s) is walked every 80 s while its working queue stays fresh.
// Faults are never kept: the next reading looks again.

import { shapeOf, type SampledMessage } from "../shape.ts";
import {
  countsOf,
  PARKED_QUEUES,
  readSample,
  spoolFaultOf,
  walkQueues,
  WORKING_QUEUES,
  type SpoolPorts,
  type SpoolReading,
} from "./spool.ts";

export interface SpoolGaugePorts extends SpoolPorts {
  readonly monotonicMs: () => number;
}

export interface SpoolGauge {
  /** One at a time. */
  read(): Promise<SpoolReading>;
}

/** The governor steers by the working queue: it may cost a tenth of one core, and a healthy one costs a few ms. */
const WORKING_REST_FACTOR = 10;
/** The plug changes in minutes, and so does the shape: two hundredths. */
const PARKED_REST_FACTOR = 50;
const SAMPLE_REST_FACTOR = 50;

export function createSpoolGauge(queueDir: string, ports: SpoolGaugePorts): SpoolGauge {
  const { random, monotonicMs } = ports;
  const working = withRest(WORKING_REST_FACTOR, monotonicMs, () => walkQueues(queueDir, WORKING_QUEUES, random));
  const parked = withRest(PARKED_REST_FACTOR, monotonicMs, () => walkQueues(queueDir, PARKED_QUEUES, random));
  const samples = withRest(SAMPLE_REST_FACTOR, monotonicMs, async (): Promise<readonly SampledMessage[]> => [
    ...(await readSample(await working())),
    ...(await readSample(await parked())),
  ]);
  const readAll = async (): Promise<SpoolReading> => {
    const [atWork, atRest] = [await working(), await parked()];
    const nowMs = ports.wallMs();
    return { kind: "read", ...countsOf(atWork, atRest, shapeOf(await samples(), nowMs), nowMs) };
  };
  return {
    async read() {
      try {
        return await readAll();
      } catch (error) {
        const fault = spoolFaultOf(error);
        if (fault === undefined) throw error;
        return fault;
      }
    },
  };
}

/** The result of `measure`, no older than `factor` times what it cost. */
function withRest<Result>(
  factor: number,
  monotonicMs: () => number,
  measure: () => Promise<Result>,
): () => Promise<Result> {
  let last: { readonly result: Result; readonly againAtMs: number } | undefined;
  return async () => {
    const startMs = monotonicMs();
    if (last !== undefined && startMs < last.againAtMs) return last.result;
    const result = await measure();
    const endMs = monotonicMs();
    last = { result, againAtMs: endMs + factor * (endMs - startMs) };
    return result;
  };
}
