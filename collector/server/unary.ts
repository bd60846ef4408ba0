import type { handleUnaryCall, ServerUnaryCall } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { statusOf } from './call-error.js';

/** A unary method of a promise: what it rejects with becomes the call's status. `doing` names it in the log. */
export function unary<Request, Response>(
  doing: string,
  logger: Logger,
  answer: (call: ServerUnaryCall<Request, Response>) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    // An async function, so that what is thrown before its first await is caught here as well.
    const run = async () => answer(call);
    run().then(
      (response) => callback(null, response),
      (error: unknown) => callback(statusOf(error, doing, logger)),
    );
  };
}
