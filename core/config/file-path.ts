import { resolve } from 'node:path';
import * as v from 'valibot';

/** What `parseConfig` hands to the fields besides valibot's own settings. */
interface FolderConfig extends v.Config<v.BaseIssue<unknown>> {
  /** Where relative paths start, absolute. */
  folder: string;
}

/** The settings of a parse whose relative paths start at `folder`. */
export function folderConfig(folder: string): v.Config<v.BaseIssue<unknown>> {
  const config: FolderConfig = { folder };
  return config;
}

/**
 * A field that holds a path of a file or folder. The value is absolute; a relative path starts at the configuration file's
 * folder, so that a configuration means the same wherever the program was started.
 */
export function filePath() {
  return v.pipe(
    v.string('not a path; write the path of a file, relative to the folder of this configuration'),
    v.nonEmpty('an empty path; write the path of a file, relative to the folder of this configuration'),
    v.check((text) => !text.includes('\0'), 'a path with a NUL character; no file can have that name'),
    v.check((text) => !text.startsWith('~'), 'a leading ~ is only known to shells; write the whole path'),
    v.rawTransform<string, string>(({ dataset, config }) => resolve((config as FolderConfig).folder, dataset.value)),
  );
}
