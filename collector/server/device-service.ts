import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { RateLimit } from '@tributary/core/log/rate-limit';
import type { RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { Logger } from 'pino';
import { type RegisterDependencies, register } from '../ingest/register.js';
import { CallError } from './call-error.js';
import { deviceOf } from './caller.js';
import { unary } from './unary.js';

export interface DeviceServiceOptions extends RegisterDependencies {
  trustDomain: string;
  logger: Logger;
}

/** `DeviceService` over the registration of ingest. */
export function deviceService(options: DeviceServiceOptions): UntypedServiceImplementation {
  const { trustDomain, logger, clock } = options;
  const limit = new RateLimit();
  /** A device that is refused may come again at once, and again. */
  const warn = (outcome: string, fields: Record<string, unknown>, text: string): void => {
    const admission = limit.admit(outcome, clock.monotonicUs() / 1000);
    if (admission.report) logger.warn({ ...fields, suppressed: admission.suppressed }, text);
  };
  return {
    register: unary<RegisterRequest, RegisterResponse>('register', logger, async (call) => {
      const name = deviceOf(call, trustDomain);
      const result = await register(options, name, call.request);
      switch (result.outcome) {
        case 'registered':
          if (result.corrected > 0) {
            logger.info(
              { ...name, segments: result.corrected },
              "the device's clock is not trusted; estimated its offset",
            );
          }
          return result.response;
        case 'invalid':
          throw new CallError('invalid', result.detail);
        case 'conflict':
          warn(
            result.outcome,
            { ...name, detail: result.detail },
            'the buffer of a device is a copy; it must open a new epoch',
          );
          throw new CallError('conflict', result.detail);
        case 'too-many-series':
        case 'too-many-epochs':
          warn(result.outcome, { ...name, detail: result.detail }, 'a device was refused: it is beyond a limit');
          throw new CallError('exhausted', result.detail);
      }
    }),
  };
}
