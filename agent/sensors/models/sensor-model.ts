/**
 * What a sensor would show, as a function of time alone: the same time gives the same value, in any order of asking. Times
 * are microseconds. Undefined means that it does not answer.
 */
export type SensorModel =
  | { type: 'double'; at(timeUs: number): number | undefined }
  | { type: 'boolean'; at(timeUs: number): boolean | undefined }
  | { type: 'string'; at(timeUs: number): string | undefined };
