// How fast a relay empties its queue, from what left it between two readings. Pure; the state is plain JSON.
//
// Two estimates: the slow one is the mean of all that was seen since the last change, in a memory of `MEMORY_S`; the fast
// one is the mean of the newest few readings. While they agree within the noise, the slow one counts, since the errors of
// counting cancel out between neighbours and only those at both ends remain. When they differ by more than noise
// explains, the relay has changed: what is older is forgotten at once, and the fast one is what is known.

/** What left the relay in a stretch of time. May be below zero: counts have errors. */
export interface DrainSample {
  readonly s: number;
  readonly drained: number;
  /** Variance of `drained` that comes from counting alone, not from the relay. */
  readonly errorSquare: number;
}

export interface DrainState {
  /** Newest last, at most `RECENT_MAX`. */
  readonly recent: readonly DrainSample[];
  readonly older: DrainSum;
}

interface DrainSum {
  readonly s: number;
  readonly drained: number;
  /** Sum of drained² / s: what the variance is made of. */
  readonly squares: number;
  /** How many samples these are; a fraction once some are half forgotten. */
  readonly samples: number;
  readonly errorSquare: number;
}

/** Long enough to average Poisson noise at 100/s to 1.3 %, short enough to follow a ramp that takes minutes. */
const MEMORY_S = 60;
/** Among so many newest readings the moment of a change is looked for. */
const RECENT_MAX = 8;
/**
 * How many standard deviations are no longer noise. Each reading is tested `RECENT_MAX` times: at 5 a false alarm comes
 * once in days, and a halved drain of 100/s is still seen at the third reading.
 */
const CHANGE_DEVIATIONS = 5;
/** Smaller changes are left to the slow estimate, which follows them in its own time. */
const CHANGE_SHARE = 0.2;
/** Below so many samples their own scatter says nothing yet; a relay that works in bursts is taken for granted then. */
const SCATTER_SAMPLES_MIN = 8;
const SCATTER_SHARE_ASSUMED = 0.15;
/** A burst may last so long: within it neighbours tell the same, and averaging them makes nothing surer. */
const BURST_S = 3;

export function learnDrain(state: DrainState | undefined, sample: DrainSample): DrainState {
  const grown = remember(state ?? NOTHING_SEEN, sample);
  return forgetBeforeChange(grown);
}

/** From a relay that ran empty: at least this much, whatever was known before. */
export function restartDrain(sample: DrainSample): DrainState {
  return remember(NOTHING_SEEN, sample);
}

/** The slow estimate, per second; never below zero. */
export function drainPerS({ recent, older }: DrainState): number {
  return rateOf(recent.reduce(addSample, older));
}

/** How long the slow estimate has been looked at. */
export function knownForS({ recent, older }: DrainState): number {
  return recent.reduce(addSample, older).s;
}

/** The fast estimate, of the newest readings; undefined while so few deliveries tell nothing at the rate that is usual. */
export function fastPerS(state: DrainState, usualPerS: number): number | undefined {
  const newest = state.recent.slice(-FAST_READINGS).reduce(addSample, ZERO);
  if (newest.s < FAST_S_MIN) return undefined;
  const seen = newest.s * usualPerS >= FAST_EXPECTED_MIN ? newest : state.recent.reduce(addSample, state.older);
  return seen.s * usualPerS >= FAST_EXPECTED_MIN ? rateOf(seen) : undefined;
}

/** Long enough that the errors of counting are small in it, short enough to say within seconds that nothing moves. */
const FAST_READINGS = 4;
const FAST_S_MIN = 3;
/** Where so many were expected by now, none at all is no chance (Poisson: one in 160,000). */
const FAST_EXPECTED_MIN = 12;

/** The newest reading alone, if it is so low that it is hardly noise; a first hint of a stall, not yet a change. */
export function suspectedPerS(state: DrainState): number | undefined {
  const newest = state.recent.at(-1);
  if (newest === undefined) return undefined;
  const before = { ...state, recent: state.recent.slice(0, -1) };
  const known = before.recent.reduce(addSample, before.older);
  if (known.s === 0) return undefined;
  const seen = addSample(ZERO, newest);
  const isLow = rateOf(known) - rateOf(seen) > SUSPICION_DEVIATIONS * deviationBetween(seen, known);
  return isLow && rateOf(seen) < SUSPICION_SHARE * rateOf(known) ? rateOf(seen) : undefined;
}

/** A wrong suspicion costs one second of a lower pace, which the relay's queue bridges; one in 160 readings is wrong. */
const SUSPICION_DEVIATIONS = 2.5;
const SUSPICION_SHARE = 0.7;

const ZERO: DrainSum = { s: 0, drained: 0, squares: 0, samples: 0, errorSquare: 0 };
const NOTHING_SEEN: DrainState = { recent: [], older: ZERO };

function remember({ recent, older }: DrainState, sample: DrainSample): DrainState {
  const all = [...recent, sample];
  const leaving = all.length > RECENT_MAX ? all[0] : undefined;
  if (leaving === undefined) return { recent: all, older };
  return { recent: all.slice(1), older: fade(addSample(older, leaving)) };
}

/** Keeps at most `MEMORY_S` in mind, so that newer samples weigh more. */
function fade(sum: DrainSum): DrainSum {
  const keep = Math.min(1, MEMORY_S / sum.s);
  return {
    s: sum.s * keep,
    drained: sum.drained * keep,
    squares: sum.squares * keep,
    samples: sum.samples * keep,
    errorSquare: sum.errorSquare,
  };
}

function forgetBeforeChange(state: DrainState): DrainState {
  const suffixes = state.recent.map((_, from) => ({
    newer: state.recent.slice(from).reduce(addSample, ZERO),
    rest: state.recent.slice(0, from).reduce(addSample, state.older),
    from,
  }));
  const changed = suffixes.filter(({ newer, rest }) => rest.s > 0 && deviationsApart(newer, rest) > CHANGE_DEVIATIONS);
  if (changed.length === 0) return state;
  // The change came in the middle of a reading, which tells of both times: what differs most is the purest of the new.
  const known = rateOf(changed[0]!.rest);
  const purest = suffixes
    .slice(changed[0]!.from)
    .reduce((one, other) =>
      Math.abs(rateOf(other.newer) - known) > Math.abs(rateOf(one.newer) - known) ? other : one,
    );
  return { recent: state.recent.slice(purest.from), older: ZERO };
}

/** How many standard deviations two stretches are apart; 0 if it is too little to matter. */
function deviationsApart(newer: DrainSum, rest: DrainSum): number {
  const difference = Math.abs(rateOf(newer) - rateOf(rest));
  if (difference <= CHANGE_SHARE * Math.max(rateOf(newer), rateOf(rest))) return 0;
  return difference / deviationBetween(newer, rest);
}

/** Deliveries come at random (Poisson: variance = mean), or in bursts, as the older ones' own scatter says. */
function deviationBetween(newer: DrainSum, rest: DrainSum): number {
  const poisson = Math.max(rateOf(newer), rateOf(rest), 1 / rest.s);
  const bursts = Math.max(0, scatterOf(rest) - rateOf(rest));
  const ofMean = ({ s, errorSquare }: DrainSum): number =>
    ((poisson + bursts * Math.min(s, BURST_S)) * s + errorSquare) / s ** 2;
  return Math.sqrt(ofMean(newer) + ofMean(rest));
}

/** Variance of what is drained in a second, less what counting adds to it: that cancels out over longer stretches. */
function scatterOf({ s, drained, squares, samples, errorSquare }: DrainSum): number {
  if (samples < SCATTER_SAMPLES_MIN) return (SCATTER_SHARE_ASSUMED * Math.max(0, drained / s)) ** 2;
  return (squares - drained ** 2 / s) / samples - errorSquare;
}

function addSample(sum: DrainSum, sample: DrainSample): DrainSum {
  return {
    s: sum.s + sample.s,
    drained: sum.drained + sample.drained,
    squares: sum.squares + sample.drained ** 2 / sample.s,
    samples: sum.samples + 1,
    // Neighbours share an end, so the errors of a stretch are those of its two ends, however long it is.
    errorSquare: Math.max(sum.errorSquare, sample.errorSquare),
  };
}

function rateOf({ s, drained }: DrainSum): number {
  return s === 0 ? 0 : Math.max(0, drained / s);
}
