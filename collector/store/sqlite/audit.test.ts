import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batches, NOW_US, part, registration } from '../conformance/data.js';
import { packCommit } from '../packed-commit.js';
import { readerOperations, writerOperations } from './engine.js';
import { openMemory } from './schema.js';

// What no correct store ever holds, put there by hand: the proof must see it.
describe('an audit of a store that went wrong', () => {
  let db: ReturnType<typeof openMemory>;
  const audit = () => readerOperations(db).auditEpoch(1, 1);
  beforeEach(() => {
    db = openMemory();
    const operations = writerOperations(db);
    const outcome = operations.register(registration('d'));
    if (outcome.outcome !== 'registered') throw new Error(outcome.detail);
    operations.commit(packCommit([part(outcome.device, batches(1, 3))], NOW_US));
    operations.commit(packCommit([part(outcome.device, batches(4, 5))], NOW_US));
  });
  afterEach(() => db.close());

  it('counts what stands twice', () => {
    expect(audit()).toMatchObject({ produced: 50, stored: 50, missing: 0, doubled: 0 });
    db.exec(
      `INSERT INTO chunks (device_id, epoch_id, first_sequence, last_sequence, position, bytes, body)
       SELECT device_id, epoch_id, first_sequence, last_sequence, 3, bytes, body FROM chunks WHERE first_sequence = 1`,
    );
    expect(audit()).toMatchObject({ produced: 50, stored: 50, missing: 0, doubled: 30 });
  });

  it('counts what the interval set has and the chunks have not', () => {
    db.exec('DELETE FROM chunks WHERE first_sequence = 4');
    expect(audit()).toMatchObject({ produced: 50, stored: 30, missing: 20 });
    db.exec('DELETE FROM chunks');
    expect(audit()).toMatchObject({ produced: 50, stored: 0, missing: 50 });
  });

  it('gives no proof where an item is outside the interval set', () => {
    db.exec('UPDATE intervals SET last = 4');
    expect(audit).toThrow('item 5 of d is stored but not in its interval set');
  });
});
