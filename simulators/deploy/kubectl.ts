import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { root } from '../rig/rig.js';

/** An object as Kubernetes' API takes it. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: what an object of any kind has in it
  [field: string]: any;
}

/**
 * The `kubectl`s that can be had: the one of the PATH, and what `TRIBUTARY_KUBECTL` names, separated by colons: Kustomize
 * is part of kubectl, and an old and a current one take different things.
 */
export function kubectls(): string[] {
  const named = (process.env.TRIBUTARY_KUBECTL ?? '').split(':').filter((path) => path !== '');
  return ['kubectl', ...named].filter((path) => spawnSync(path, ['version', '--client']).status === 0);
}

/** What a folder below deploy/kubernetes comes to. */
export function render(kubectl: string, folder: string): KubernetesObject[] {
  const text = execFileSync(kubectl, ['kustomize', join(root, 'deploy/kubernetes', folder)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  }).toString();
  return parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);
}
