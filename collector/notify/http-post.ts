import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Scheduler } from '@tributary/core/clock/clock';
import { tlsFailureIn, tlsFailureWords } from '@tributary/core/errors/tls-failure';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { retryAfterMs } from './retry-after.js';

/** Of an answer so much is read: what a person can use of an error. The rest is not waited for. */
const ANSWER_BYTES_MAX = 2048;
/** The headers of an answer; Node's own default, said here because a receiver is not trusted. */
const HEADER_BYTES_MAX = 16 * 1024;
/** An unused connection is kept so long: notifications come in bursts, and firewalls forget connections after minutes. */
const IDLE_MS = 30_000;
/** Unused connections that are kept to one receiver. */
const IDLE_CONNECTIONS_MAX = 2;

/** PEM texts; Node's own list of authorities where `ca` is absent. */
export interface ReceiverTls {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

export interface HttpPostOptions {
  scheduler: Scheduler;
  /** The whole of a request may take this long, from the look-up of the name to the answer. */
  timeoutMs: number;
  /** Requests at a time; others wait inside their own time limit. */
  connectionsMax: number;
  tls?: ReceiverTls;
}

/** What came of a request: an answer with any status, or none. */
export type PostOutcome =
  | { kind: 'answered'; status: number; retryAfterMs: number | undefined; text: string }
  | { kind: 'failed'; why: string };

/**
 * POST requests to one receiver. Node's http module and not `fetch`: the latter takes 27 MB more of resident memory (37
 * against 10, Node 20). Redirects are not followed, because a signed body and a password are meant for the configured place
 * alone; the peer's certificate is always verified.
 */
export class HttpPost {
  readonly #options: HttpPostOptions;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;
  readonly #open = new Set<ClientRequest>();

  constructor(options: HttpPostOptions) {
    this.#options = options;
    const { connectionsMax, tls = {} } = options;
    const kept = {
      keepAlive: true,
      maxSockets: connectionsMax,
      maxFreeSockets: IDLE_CONNECTIONS_MAX,
      timeout: IDLE_MS,
    };
    this.#http = new HttpAgent(kept);
    this.#https = new HttpsAgent({ ...kept, ...tls, rejectUnauthorized: true, minVersion: 'TLSv1.2' });
  }

  /** Sends `body` once, or twice where a kept connection turned out to be closed. Never rejects. */
  async send(url: URL, headers: Readonly<Record<string, string>>, body: Buffer): Promise<PostOutcome> {
    const first = await this.#attempt(url, headers, body);
    // The receiver has closed the connection while it lay unused: says nothing about the receiver.
    return first === 'stale' ? notStale(await this.#attempt(url, headers, body)) : first;
  }

  /** Ends what is under way: each such request fails. */
  close(): void {
    for (const request of this.#open) request.destroy(new Error('the collector stops'));
    this.#http.destroy();
    this.#https.destroy();
  }

  #attempt(url: URL, headers: Readonly<Record<string, string>>, body: Buffer): Promise<PostOutcome | 'stale'> {
    const isTls = url.protocol === 'https:';
    const { scheduler, timeoutMs } = this.#options;
    return new Promise((resolve) => {
      const request = (isTls ? httpsRequest : httpRequest)(url, {
        method: 'POST',
        agent: isTls ? this.#https : this.#http,
        maxHeaderSize: HEADER_BYTES_MAX,
        headers: { ...headers, 'content-length': body.length },
      });
      this.#open.add(request);
      const cancel = scheduler.setTimer(timeoutMs, () =>
        request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)),
      );
      const settle = (outcome: PostOutcome | 'stale') => {
        cancel();
        this.#open.delete(request);
        resolve(outcome);
      };
      let isAnswered = false;
      request.on('error', (error: NodeJS.ErrnoException) => {
        if (isAnswered) return;
        const isStale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        settle(isStale ? 'stale' : { kind: 'failed', why: failureWords(error) });
      });
      // An upgrade that nobody asked for ends a request without an error.
      request.on('close', () => {
        if (!isAnswered) settle({ kind: 'failed', why: 'the other side closed the connection without an answer' });
      });
      request.on('response', (response) => {
        isAnswered = true;
        void this.#readAnswer(request, response).then(settle);
      });
      request.end(body);
    });
  }

  /** The status has decided; the text is for the log. A long one, or one that does not end, costs the connection. */
  async #readAnswer(request: ClientRequest, response: IncomingMessage): Promise<PostOutcome> {
    const parts: Buffer[] = [];
    let length = 0;
    try {
      for await (const part of response) {
        parts.push(part as Buffer);
        length += (part as Buffer).length;
        // Leaving the loop destroys the response and its connection.
        if (length > ANSWER_BYTES_MAX) break;
      }
    } catch {
      // Cut off or out of time: what has come is what there is.
      request.destroy();
    }
    const text = Buffer.concat(parts).subarray(0, ANSWER_BYTES_MAX).toString('utf8').replaceAll(/\s+/g, ' ').trim();
    const status = response.statusCode ?? 0;
    return { kind: 'answered', status, retryAfterMs: retryAfterMs(response.headers), text };
  }
}

function notStale(outcome: PostOutcome | 'stale'): PostOutcome {
  return outcome === 'stale' ? { kind: 'failed', why: 'the other side closed two connections at once' } : outcome;
}

function failureWords(error: NodeJS.ErrnoException): string {
  const tls = tlsFailureIn(`${error.code ?? ''} ${error.message}`);
  if (tls?.kind === 'handshake')
    return 'the TLS handshake failed: does the receiver speak TLS 1.2 or later on this port?';
  if (tls !== undefined) return tlsFailureWords(tls);
  if (error.code === 'HPE_HEADER_OVERFLOW')
    return `the headers of the answer are longer than ${HEADER_BYTES_MAX} bytes`;
  if (error.code?.startsWith('HPE_')) return 'the answer is not HTTP';
  return TributaryError.from(error).message;
}
