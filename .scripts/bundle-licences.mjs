// What stands in a bundle of others' work: the licence texts, and a bill of materials (CycloneDX) that scanners read. Both
// are made from the packages that really are in it, and name no registry and no path of the machine.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifestOf } from './bundle-packages.mjs';

/** Each package once, by name and version. */
function described(folders) {
  const found = new Map();
  for (const folder of folders) {
    const { name, version, license } = manifestOf(folder);
    if (typeof license !== 'string') throw new Error(`${name}@${version} does not say its licence`);
    found.set(`${name}@${version}`, { name, version, license, folder });
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

export function licenceText(folders) {
  return described(folders)
    .map(({ name, version, license, folder }) => {
      const file = readdirSync(folder).find((one) => /^(licen[cs]e|copying)(\.|-|$)/i.test(one));
      const text =
        file === undefined ? '(the package carries no text of it)' : readFileSync(join(folder, file), 'utf8');
      return `${name} ${version}\nLicence: ${license}\n\n${text.trim()}\n`;
    })
    .join(`\n${'-'.repeat(78)}\n\n`);
}

export function billOfMaterials(product, folders) {
  const purl = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const component = ({ name, version, license }, type) => ({
    type,
    'bom-ref': purl(name, version),
    name,
    version,
    // An expression may be a single identifier too.
    licenses: [{ expression: license }],
    purl: purl(name, version),
  });
  const packages = described(folders);
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: component(product, 'application') },
    components: packages.map((one) => component(one, 'library')),
    dependencies: [
      {
        ref: purl(product.name, product.version),
        dependsOn: packages.map(({ name, version }) => purl(name, version)),
      },
    ],
  };
}
