import type { Fault } from './fault.js';
import { agentKilled } from './fault-01-agent-killed.js';

/** The rows of the fault list that can be run, in order of their numbers. */
export const faults: readonly Fault[] = [
  agentKilled, //
];
