/** A stage of an image: what it begins with, and its steps in their order. */
export interface Stage {
  from: string;
  name: string | undefined;
  steps: Step[];
}

export type Step =
  | { kind: 'workdir'; path: string }
  /** `from` is another stage; undefined is the folder that is built. */
  | { kind: 'copy'; from: string | undefined; sources: string[]; target: string }
  | { kind: 'run'; command: string }
  | { kind: 'env'; variables: Record<string, string> }
  | { kind: 'user'; user: string }
  | { kind: 'expose'; ports: number[] }
  | { kind: 'entrypoint' | 'cmd'; words: string[] }
  | { kind: 'stopsignal'; signal: string };

/** Reads a Dockerfile as far as ours goes; throws at what it does not know, so that nothing is passed over. */
export function parseDockerfile(text: string): Stage[] {
  const stages: Stage[] = [];
  const lines = text.replaceAll(/\\\n\s*/g, ' ').split('\n');
  for (const line of lines.map((one) => one.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const [, word, rest] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    if (word === undefined) throw new Error(`no instruction: ${line}`);
    if (word === 'FROM') {
      const [, from, name] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(rest) ?? [];
      if (from === undefined) throw new Error(`not understood: ${line}`);
      stages.push({ from, name, steps: [] });
      continue;
    }
    const stage = stages.at(-1);
    if (stage === undefined) throw new Error(`before FROM: ${line}`);
    stage.steps.push(parseStep(word, rest));
  }
  return stages;
}

function parseStep(word: string, rest: string): Step {
  switch (word) {
    case 'WORKDIR':
      return { kind: 'workdir', path: rest };
    case 'COPY': {
      const words = rest.split(/\s+/);
      const from = words[0].startsWith('--from=') ? words.shift()!.slice('--from='.length) : undefined;
      if (words[0].startsWith('--')) throw new Error(`COPY ${words[0]} is not followed here`);
      return { kind: 'copy', from, sources: words.slice(0, -1), target: words.at(-1)! };
    }
    case 'RUN':
      if (rest.startsWith('--') || rest.startsWith('[')) throw new Error(`RUN ${rest} is not followed here`);
      return { kind: 'run', command: rest };
    case 'ENV':
      return { kind: 'env', variables: Object.fromEntries(rest.split(/\s+/).map((pair) => pair.split('=', 2))) };
    case 'USER':
      return { kind: 'user', user: rest };
    case 'EXPOSE':
      return { kind: 'expose', ports: rest.split(/\s+/).map(Number) };
    case 'STOPSIGNAL':
      return { kind: 'stopsignal', signal: rest };
    case 'ENTRYPOINT':
    case 'CMD':
      return { kind: word === 'CMD' ? 'cmd' : 'entrypoint', words: JSON.parse(rest) as string[] };
    default:
      throw new Error(`${word} is not followed here`);
  }
}

/** Whether a path of the folder is left out by a `.dockerignore` of plain names and of names behind `**` and a slash. */
export function isIgnored(path: string, patterns: readonly string[]): boolean {
  const parts = path.split('/');
  return patterns.some((pattern) => {
    if (!pattern.startsWith('**/')) return path === pattern || path.startsWith(`${pattern}/`);
    const name = new RegExp(`^${pattern.slice(3).replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`);
    return parts.some((part) => name.test(part));
  });
}

/** The patterns of a `.dockerignore`. */
export function ignorePatterns(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const patterns = lines.filter((line) => line !== '' && !line.startsWith('#'));
  const strange = patterns.find((pattern) => pattern.startsWith('!'));
  if (strange !== undefined) throw new Error(`${strange} is not followed here`);
  return patterns;
}
