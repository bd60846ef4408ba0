import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';

/**
 * Does something about an alert: logs it, switches an output, runs a command. Called once for each transition of an
 * incident, after it was stored on this device, in the order of the alerts' numbers. What it throws is logged.
 */
export interface AlertHandler {
  readonly name: string;
  handle(alert: Alert): void | Promise<void>;
}
