import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

const files = ['alert', 'device', 'incident', 'query', 'series', 'telemetry'].map(
  (name) => `tributary/v1/${name}.proto`,
);

/** The reflection service over the contract's .proto files, which the proto package carries beside its code. */
export function reflectionService(): ReflectionService {
  // proto/dist/items/item.js is what the package exports; the files lie two folders above it.
  const root = fileURLToPath(new URL('../../', import.meta.resolve('@tributary/proto/items/item')));
  const definition = loadSync(files, { includeDirs: [root], keepCase: true, longs: String });
  return new ReflectionService(definition);
}
