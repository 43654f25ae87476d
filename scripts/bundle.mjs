// Puts the program into few files: at a start, finding and linking each file costs more than its code does.
// The code is not minified, and functions keep their names, so that stack traces stay useful.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { rolldown } from 'rolldown'

/** Started by path, in a process or a thread of their own: each is one file that loads nothing else of walsync. */
const SCRIPTS = [
  'core/db/checkpoint-worker',
  'core/db/hold-open-child',
  'core/drill/assertion-child',
  'core/engine/capture/encode-worker',
  'core/restore/decode-worker',
  'core/restore/integrity-child',
]

/** Stands for the address of a module until the file that it becomes a part of is known. */
const MODULE_URL = /MODULE_URL_OF\("([^"]+)"\)/g

/**
 * @param {string} root the folder of package.json, absolute
 * @param {string} dist where to, absolute
 */
export async function bundle(root, dist) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const licences = new Map()
  const write = async (entries, codeSplitting) => {
    const bundled = await rolldown({
      input: Object.fromEntries(entries.map((name) => [name, join(root, 'src', `${name}.ts`)])),
      cwd: root,
      platform: 'node',
      // The SDKs of the stores are those of the user, and so is the test runner of a plugin's author.
      external: [...Object.keys(manifest.peerDependencies), 'vitest'].map(
        (name) => new RegExp(`^${name}(/|$)`),
      ),
      logLevel: 'warn',
      // Needed for files of our own choice; test/package shows that the public modules export what their sources do.
      preserveEntrySignatures: 'allow-extension',
      plugins: [keepModuleUrls(join(root, 'src'))],
    })
    const { output } = await bundled.write({
      dir: dist,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name].js',
      codeSplitting,
      // They are in the declarations and in the sources, and would stay in memory.
      comments: { jsdoc: false, annotation: false },
    })
    await bundled.close()
    for (const id of output.flatMap(({ moduleIds }) => moduleIds ?? [])) noteLicence(id, licences)
  }
  await write([...publicEntries(manifest), 'testing/child'], {
    groups: [stages(root)],
    includeDependenciesRecursively: false,
  })
  for (const script of SCRIPTS) await write([script], false)
  writeFileSync(join(dist, 'LICENSES.txt'), [...licences.values()].join('\n'))
}

/** @returns the modules that package.json names, without extension, from `src` on */
function publicEntries({ bin, exports }) {
  const files = [...Object.values(bin), ...Object.values(exports).map((entry) => entry.default)]
  return files.flatMap((file) => {
    const [, name] = /^(?:\.\/)?dist\/(.*)\.js$/.exec(file ?? '') ?? []
    return name === undefined ? [] : [name]
  })
}

/** In the order in which a process loads them: what the first one needs is not part of a later one. */
const STAGES = [
  'cli/package-version',
  'cli/main',
  'cli/run-command',
  'cli/commands/list',
  'backends/file/index',
  'cli/commands/restore',
  'cli/commands/watch',
]

/**
 * What a stage needs is three files: packages, the core, the command line. A stage is closed, and so is each
 * of its files but for those before it: nothing in it imports what comes later, so no circle can come of it.
 */
function stages(root) {
  const stages = STAGES.map((name) => ({
    name: name.replace(/\/index$/, '').replace(/^.*\//, ''),
    id: join(root, `src/${name}.ts`),
    modules: undefined,
  }))
  return {
    debugName: 'stages',
    name: (id, context) => {
      const part = PARTS.find(({ test }) => test.test(relative(root, id)))
      const stage = stages.find((stage) => {
        stage.modules ??= staticImports(stage.id, context)
        return stage.modules.has(id)
      })
      return part === undefined || stage === undefined ? null : `${stage.name}-${part.name}`
    },
  }
}

const PARTS = [
  { name: 'packages', test: /node_modules\// },
  { name: 'core', test: /^src\/core\// },
  { name: 'cli', test: /^src\/cli\// },
]

/** @returns the module and all that it cannot be loaded without */
function staticImports(id, context, found = new Set()) {
  if (found.has(id)) return found
  found.add(id)
  for (const imported of context.getModuleInfo(id)?.importedIds ?? []) {
    staticImports(imported, context, found)
  }
  return found
}

/** A module finds its neighbours and package.json from where the sources have it, not from the bundle. */
function keepModuleUrls(src) {
  return {
    name: 'keep-module-urls',
    transform(code, id) {
      if (!id.startsWith(src) || !code.includes('import.meta.url')) return null
      const path = relative(src, id).replace(/\.ts$/, '.js')
      return code.replaceAll('import.meta.url', `MODULE_URL_OF("${path}")`)
    },
    renderChunk(code, chunk) {
      const up = relative(dirname(chunk.fileName), '.') || '.'
      return code.replace(MODULE_URL, (_, path) => `new URL("${up}/${path}", import.meta.url).href`)
    },
  }
}

/** The licence of the package that a bundled module is from. */
function noteLicence(id, licences) {
  const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]
  if (folder === undefined || licences.has(folder)) return
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8')
  licences.set(folder, `${name} ${version} (${license})\n\n${text}`)
}
