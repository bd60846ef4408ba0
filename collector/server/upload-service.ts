import {
  type ServerReadableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Clock } from '@tributary/core/clock/clock';
import { TelemetryServiceService, type UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Logger } from 'pino';
import type { IngestCore } from '../ingest/ingest-core.js';
import type { UploadHost } from '../ingest/upload-stream.js';
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
      answer: (response) => callback(null, response),
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
