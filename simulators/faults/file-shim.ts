import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Stands between a process and libc, for files whose path holds `SHIM_MATCH` (ends with it, where it ends with $). A call
 * that changes such a file fails with EIO when the file `SHIM_ARM` exists, which it removes, or when it is the N-th of
 * `SHIM_EVERY`; with `SHIM_KILL` the process is killed there instead.
 */
const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static int matches(int fd) {
  const char *match = getenv("SHIM_MATCH");
  if (match == NULL) return 0;
  char link[64], path[1024];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  size_t size = strlen(match);
  if (size > 0 && match[size - 1] == '$') {
    return (size_t)length >= size - 1 && strncmp(path + length - (size - 1), match, size - 1) == 0;
  }
  return strstr(path, match) != NULL;
}

static int fails(int fd, int is_sync) {
  const char *arm = getenv("SHIM_ARM"), *every = getenv("SHIM_EVERY"), *only = getenv("SHIM_ONLY");
  if (arm == NULL && every == NULL) return 0;
  if (only != NULL && (strcmp(only, "sync") == 0) != is_sync) return 0;
  if (!matches(fd)) return 0;
  int struck = arm != NULL ? unlink(arm) == 0 : (atomic_fetch_add(&calls, 1) + 1) % atol(every) == 0;
  if (!struck) return 0;
  if (getenv("SHIM_KILL") != NULL) kill(getpid(), SIGKILL);
  errno = EIO;
  return 1;
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) {
  REAL(ssize_t, write, int, const void *, size_t);
  return fails(fd, 0) ? -1 : real(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
  return fails(fd, 0) ? -1 : real(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
  return fails(fd, 0) ? -1 : real(fd, data, size, at);
}
int fsync(int fd) {
  REAL(int, fsync, int);
  return fails(fd, 1) ? -1 : real(fd);
}
int fdatasync(int fd) {
  REAL(int, fdatasync, int);
  return fails(fd, 1) ? -1 : real(fd);
}
`;

export interface ShimSettings {
  /** Part of the paths whose calls may fail; with $ at its end, what they end with. */
  match: string;
  /** The call fails that comes when this file exists; it is gone then. */
  armFile?: string;
  /** Each so-many-th call fails. */
  every?: number;
  only?: 'sync' | 'write';
  /** The process ends there, instead of being told. */
  kills?: boolean;
}

/** A library that makes calls of other processes fail. Linux with a C compiler. */
export class FileShim {
  readonly #library: string;

  constructor(folder: string) {
    const source = join(folder, 'shim.c');
    this.#library = join(folder, 'shim.so');
    writeFileSync(source, SOURCE);
    execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', this.#library, source, '-ldl'], { stdio: 'pipe' });
  }

  /** The environment with which a process is started. */
  env({ match, armFile, every, only, kills }: ShimSettings): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      SHIM_MATCH: match,
      ...(armFile === undefined ? {} : { SHIM_ARM: armFile }),
      ...(every === undefined ? {} : { SHIM_EVERY: String(every) }),
      ...(only === undefined ? {} : { SHIM_ONLY: only }),
      ...(kills === true ? { SHIM_KILL: '1' } : {}),
    };
  }
}

/** Makes the next matching call fail. */
export function arm(armFile: string): void {
  writeFileSync(armFile, '');
}

export function hasStruck(armFile: string): boolean {
  return !existsSync(armFile);
}
