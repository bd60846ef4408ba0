/** Where a rule stands for one series. A resolved incident leaves its rule inactive. */
export const PHASES = ['inactive', 'pending', 'firing'] as const;
export type Phase = (typeof PHASES)[number];
