import {
  type ServerReadableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Clock } from '@tributary/core/clock/clock';
import { failpoint } from '@tributary/core/failpoint/failpoint';
import { RateLimit } from '@tributary/core/log/rate-limit';
import { TelemetryServiceService, type UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Logger } from 'pino';
import type { IngestCore } from '../ingest/ingest-core.js';
import type { UploadHost } from '../ingest/upload-stream.js';
import type { DeviceName } from '../store/store.js';
import { statusOf } from './call-error.js';
import { deviceOf } from './caller.js';

export interface UploadServiceOptions {
  core: IngestCore;
  clock: Clock;
  trustDomain: string;
  logger: Logger;
}

/** The service with messages left as bytes: ingest reads them itself, without a copy of a body. */
export const uploadDefinition = {
  upload: { ...TelemetryServiceService.upload, requestDeserialize: (bytes: Buffer): Buffer => bytes },
};

/** The thin host around an upload stream: grpc-js on one side, ingest on the other. */
export function uploadService({
  core,
  clock,
  trustDomain,
  logger,
}: UploadServiceOptions): UntypedServiceImplementation {
  const limit = new RateLimit();
  /** What an operator should look at, and what the device is told of each time. */
  const note = (name: DeviceName, { forked, rejected }: UploadResponse): void => {
    if (forked.length > 0) {
      const admission = limit.admit('forked', clock.monotonicUs() / 1000);
      if (!admission.report) return;
      const { suppressed } = admission;
      logger.warn({ ...name, forked, suppressed }, 'a device sends other bytes under known sequences: a copied buffer');
    } else if (rejected.length > 0) {
      const admission = limit.admit('rejected', clock.monotonicUs() / 1000);
      if (!admission.report) return;
      const { sequence, detail } = rejected[0];
      const items = rejected.length;
      logger.warn({ ...name, items, sequence, detail, suppressed: admission.suppressed }, 'items were rejected');
    }
  };

  return {
    upload(call: ServerReadableStream<Buffer, UploadResponse>, callback: sendUnaryData<UploadResponse>): void {
      try {
        receive(call, callback);
      } catch (error) {
        callback(statusOf(error, 'upload', logger));
      }
    },
  };

  function receive(call: ServerReadableStream<Buffer, UploadResponse>, callback: sendUnaryData<UploadResponse>): void {
    const name = deviceOf(call, trustDomain);
    const host: UploadHost = {
      answer: (response) => {
        note(name, response);
        failpoint('upload-before-answer');
        callback(null, response);
      },
      fail: ({ message }) => callback({ code: status.INVALID_ARGUMENT, details: message }),
      pause: () => call.pause(),
      resume: () => call.resume(),
    };
    const stream = core.open(name, host, clock.wallUs());
    const guarded = (work: () => void) => {
      try {
        work();
      } catch (error) {
        stream.cancel();
        callback(statusOf(error, 'upload', logger));
      }
    };
    call.on('data', (bytes: Buffer) => guarded(() => stream.message(bytes, clock.wallUs())));
    call.on('end', () => guarded(() => stream.halfClose(clock.wallUs())));
    call.on('cancelled', () => stream.cancel());
    // A broken connection is no news: the device sends again. Without a listener it would end the process.
    call.on('error', () => stream.cancel());
  }
}
