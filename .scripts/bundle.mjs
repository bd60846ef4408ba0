// Makes what is shipped: `npm run bundle [-- agent | collector] [--to FOLDER]`. A bundle is a folder with the program as a
// few JavaScript files, its native modules, licences and a bill of materials. It is of the platform, the architecture and
// the Node version that it was made on, because native modules are.
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { billOfMaterials, licenceText } from './bundle-licences.mjs';
import { copyPackages, filesWithin, manifestOf, packageFolder, sizeOf } from './bundle-packages.mjs';

const USAGE = 'usage: npm run bundle -- [agent | collector] [--to FOLDER]';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Entries lie flat in `dist`, so that a worker's file is beside whichever chunk starts it, and the manifest is one folder
 * above, as in the workspace. `files` are copied as they are.
 */
const products = {
  agent: {
    entries: { cli: 'agent/dist/cli.js', 'buffer-worker': 'agent/dist/buffer/buffer-worker.js' },
    native: ['better-sqlite3', '@serialport/bindings-cpp'],
    files: {
      'agent/config/example.yaml': 'config/example.yaml',
      'agent/config/agent.schema.json': 'config/agent.schema.json',
      'deploy/systemd': 'systemd',
    },
  },
  collector: {
    entries: { cli: 'collector/dist/cli.js', 'store-worker': 'collector/dist/store/sqlite/store-worker.js' },
    native: ['better-sqlite3'],
    files: {
      'collector/config/example.yaml': 'config/example.yaml',
      'collector/config/collector.schema.json': 'config/collector.schema.json',
      'core/rules/rules.schema.json': 'config/rules.schema.json',
      // Reflection and the health service read their .proto files when they start.
      'proto/package.json': 'node_modules/@tributary/proto/package.json',
      'proto/tributary': 'node_modules/@tributary/proto/tributary',
      'node_modules/grpc-health-check/proto': 'assets/grpc-health-check/proto',
      'node_modules/@grpc/reflection/build/proto': 'assets/@grpc/reflection/build/proto',
    },
  },
};

/** Where a bundled CommonJS file reads files beside itself, it finds them under `assets`, as deep as they were. */
const readsBesideItself = /node_modules\/(grpc-health-check|@grpc\/reflection)\/(build\/src(?:\/[\w-]+)*)\/[\w-]+\.js$/;

const besideItself = {
  name: 'files beside a bundled file',
  setup(bundling) {
    bundling.onLoad({ filter: readsBesideItself }, async ({ path }) => {
      const { readFile } = await import('node:fs/promises');
      const [, name, folder] = readsBesideItself.exec(path.replaceAll('\\', '/'));
      const text = await readFile(path, 'utf8');
      return {
        contents: text.replaceAll('__dirname', `(__bundleFolder + '/../assets/${name}/${folder}')`),
        loader: 'js',
      };
    });
  },
};

/** CommonJS packages call `require` and `__dirname`, which a module does not have by itself. */
const banner = [
  `import { createRequire as __createRequire } from 'node:module';`,
  `import { dirname as __dirnameOf } from 'node:path';`,
  `import { fileURLToPath as __pathOf } from 'node:url';`,
  'const require = __createRequire(import.meta.url);',
  'const __filename = __pathOf(import.meta.url);',
  'const __dirname = __dirnameOf(__filename);',
  'const __bundleFolder = __dirname;',
].join('\n');

/** Makes one bundle at `to`, which is replaced. */
export async function bundle(name, to) {
  const { entries, native, files } = products[name];
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entries,
    outdir: join(to, 'dist'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: native,
    banner: { js: banner },
    plugins: [besideItself],
    legalComments: 'none',
    metafile: true,
    logLevel: 'error',
  });
  const nativeFolders = copyPackages(native, join(root, name), join(to, 'node_modules'));
  for (const [from, target] of Object.entries(files)) {
    if (existsSync(join(root, from))) cpSync(join(root, from), join(to, target), { recursive: true });
  }
  const { version, license, engines } = manifestOf(join(root, name));
  const program = `tributary-${name}`;
  const manifest = { name: program, version, private: true, license, type: 'module', engines };
  const json = (file, value) => writeFileSync(join(to, file), `${JSON.stringify(value, null, 2)}\n`);
  json('package.json', { ...manifest, bin: { [program]: `bin/${program}.mjs` } });
  cpSync(join(root, name, 'bin', `${program}.mjs`), join(to, 'bin', `${program}.mjs`));
  chmodSync(join(to, 'bin', `${program}.mjs`), 0o755);
  cpSync(join(root, 'LICENSE'), join(to, 'LICENSE'));

  const bundled = Object.keys(metafile.inputs).map((input) => packageFolder(root, join(root, input)));
  const folders = [...new Set([...bundled.filter((folder) => folder !== undefined), ...nativeFolders])];
  writeFileSync(join(to, 'LICENSES.txt'), licenceText(folders));
  json('sbom.cdx.json', billOfMaterials(manifest, folders));
  return { files: filesWithin(to).length, bytes: sizeOf(to), packages: folders.length };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { to, help, names } = commandLine();
  if (help) {
    console.log(USAGE);
    process.exit(0);
  }
  for (const name of names.length === 0 ? Object.keys(products) : names) {
    const folder = join(resolve(to), name);
    const { files, bytes, packages } = await bundle(name, folder);
    console.log(`${folder}: ${files} files, ${(bytes / 1e6).toFixed(1)} MB, of ${packages} packages`);
  }
}

/** Ends the process where it is wrong. */
function commandLine() {
  try {
    const options = { to: { type: 'string', default: '.bundle' }, help: { type: 'boolean', default: false } };
    const { values, positionals: names } = parseArgs({ allowPositionals: true, options });
    const unknown = names.find((name) => !Object.hasOwn(products, name));
    if (unknown !== undefined)
      throw new Error(`there is no bundle ${unknown}; name agent, collector, or none for both`);
    return { ...values, names };
  } catch (error) {
    console.error(`error: ${error.message}\n${USAGE}`);
    process.exit(2);
  }
}
