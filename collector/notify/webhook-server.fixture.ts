import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WebhookBody } from './webhook-body.js';

export interface ReceivedWebhook {
  headers: IncomingHttpHeaders;
  text: string;
  body: WebhookBody;
}

type Answer = (response: ServerResponse, received: ReceivedWebhook) => void;

const taken: Answer = (response) => response.writeHead(204).end();

/** A real HTTP server on loopback that remembers what it was told, and answers as a test wants. */
export class WebhookServer {
  /** Everything that came, also what was not taken. */
  readonly received: ReceivedWebhook[] = [];
  answer: Answer = taken;
  #server: Server | undefined;
  #port = 0;
  readonly #waiting: { until: () => boolean; resolve: () => void }[] = [];

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`;
  }

  /** Listens, after the first time on the same port again. */
  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#take(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Ends like a process that is killed. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** What it was told, in few words: `firing ab`, `resolved ab`. */
  get story(): string[] {
    return this.received.map(({ body: { data } }) => `${data.state} ${data.incident.slice(0, 2)}`);
  }

  /** Resolves when so many have come. */
  came(count: number): Promise<void> {
    return this.until(() => this.received.length >= count);
  }

  /** Resolves when something that came makes this true. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ until: condition, resolve }));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    try {
      for await (const part of request) text += part;
    } catch {
      return;
    }
    const received = { headers: request.headers, text, body: JSON.parse(text) as WebhookBody };
    this.received.push(received);
    this.answer(response, received);
    for (const { until, resolve } of this.#waiting) if (until()) resolve();
  }
}

/** What a receiver does by the specification, written without the code under test. */
export function isSignedBy(secret: Buffer, { headers, text }: ReceivedWebhook): boolean {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`;
  const expected = createHmac('sha256', secret).update(signed).digest();
  return String(headers['webhook-signature'])
    .split(' ')
    .some((one) => {
      const [version, signature = ''] = one.split(',');
      const bytes = Buffer.from(signature, 'base64');
      return version === 'v1' && bytes.length === expected.length && timingSafeEqual(bytes, expected);
    });
}
