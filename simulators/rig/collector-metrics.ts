import { createServer } from 'node:net';

/** A port for a collector's metrics: nobody listens there now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * What a collector that runs counts, by the names of its metrics without `tributary_collector_`; a name may have labels,
 * `rejected_total{reason="malformed"}`, and is 0 then until it was counted.
 */
export async function readMetrics<Name extends string>(
  port: number,
  names: readonly Name[],
): Promise<Record<Name, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const values = names.map((name) => {
    const pattern = name.replace(/[{}]/g, '\\$&');
    const found = new RegExp(`^tributary_collector_${pattern} (\\S+)$`, 'm').exec(text);
    if (found === null && name.endsWith('}')) return [name, 0] as const;
    if (found === null) throw new Error(`the collector has no metric ${name}`);
    return [name, Number(found[1])] as const;
  });
  return Object.fromEntries(values) as Record<Name, number>;
}
