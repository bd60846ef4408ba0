import * as v from 'valibot';

/** What a check across fields found. */
export interface FieldProblem {
  /** The field that is to blame, from the object that is checked: `['buffer', 'bytesMax']`. */
  path: readonly (string | number)[];
  /** What is wrong, and after a semicolon what would be right. */
  message: string;
}

/**
 * A check across fields, for the end of a `v.pipe(v.strictObject({...}), fieldCheck(...))`. It sees the finished values
 * (durations in milliseconds) and runs only when every field by itself is right; each problem it returns is reported at the
 * line of its field.
 */
export function fieldCheck<T>(check: (value: NoInfer<T>) => Iterable<FieldProblem>) {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.issues !== undefined) return;
    for (const { path, message } of check(dataset.value)) {
      const items = path.map(
        (key) => ({ type: 'unknown', origin: 'value', input: undefined, key, value: undefined }) as const,
      );
      const [first, ...rest] = items;
      addIssue(first === undefined ? { message } : { message, path: [first, ...rest] });
    }
  });
}
