/** What happens when, in seconds since the start. Times repeat with the period; with a given length everything fits into it. */
export interface DemoPlan {
  /** When the link is cut, and for how long. */
  outageAtS: number;
  outageS: number;
  /** When the greenhouse gets too warm, and for how long. */
  heatAtS: number;
  heatS: number;
  periodS: number;
}

/** Enough for an alert to come and go, the link to be cut and the backlog to drain. */
const SHORTEST_S = 15;

/** A demo of a given length has everything once; without one it goes round in half a minute. */
export function demoPlan(seconds: number | undefined): DemoPlan {
  if (seconds === undefined) return { heatAtS: 4, heatS: 6, outageAtS: 12, outageS: 10, periodS: 32 };
  const length = Math.max(SHORTEST_S, seconds);
  return {
    heatAtS: length * 0.1,
    heatS: length * 0.15,
    outageAtS: length * 0.35,
    outageS: Math.min(15, length * 0.3),
    periodS: Number.POSITIVE_INFINITY,
  };
}

export interface DemoMoment {
  cutOff: boolean;
  hot: boolean;
  next: string;
}

/** What holds at a moment. */
export function demoMoment(plan: DemoPlan, elapsedS: number): DemoMoment {
  const at = Number.isFinite(plan.periodS) ? elapsedS % plan.periodS : elapsedS;
  const cutOff = at >= plan.outageAtS && at < plan.outageAtS + plan.outageS;
  // It also gets warm while the link is cut: the device acts by its own rule at once, and the alert of the collector's rule
  // comes when the readings do.
  const duringOutage = at >= plan.outageAtS + plan.outageS * 0.3 && at < plan.outageAtS + plan.outageS + 3;
  const hot = (at >= plan.heatAtS && at < plan.heatAtS + plan.heatS) || duringOutage;
  const left = (until: number) => `${Math.max(0, Math.ceil(until - at))} s`;
  let next = 'the link is up again and the backlog has gone where it belongs; Ctrl-C ends with the audit';
  if (at < plan.heatAtS)
    next = `in ${left(plan.heatAtS)} the greenhouse gets too warm, and an alert comes back to its device`;
  else if (at < plan.outageAtS) next = `in ${left(plan.outageAtS)} the collector is cut off`;
  else if (cutOff)
    next = `the greenhouse acts by itself when it gets too warm; in ${left(plan.outageAtS + plan.outageS)} the link comes back`;
  return { cutOff, hot, next };
}
