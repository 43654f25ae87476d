import { createRequire, registerHooks } from 'node:module'
import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  assertProvider,
  type ObjectStoreProvider,
  PROVIDER_API_VERSION,
} from '../../core/store/index.ts'
import { UsageError } from '../args/usage-error.ts'
import type { Backend } from './backend.ts'
import { guardPlugin, PLUGIN_AUTHOR } from './guard-plugin.ts'

/**
 * Loads the plugins that were named with `--plugin`, and no others: a package that merely lies in
 * node_modules never runs. A path starts with `.` or `/`; anything else is an npm package, resolved
 * from `cwd` as an `import` there would be. Plugins run with all rights of this process.
 *
 * @throws UsageError that names the plugin and what is wrong with it
 */
export async function loadPlugins(names: readonly string[], cwd: string): Promise<Backend[]> {
  const plugins: Backend[] = []
  for (const name of names) {
    const provider = guardPlugin(name, await loadPlugin(name, cwd))
    plugins.push({ name, schemes: provider.schemes, load: async () => provider })
  }
  return plugins
}

/**
 * Are the plugins there? None of their code runs.
 *
 * @throws UsageError for one that is not found
 */
export function findPlugins(names: readonly string[], cwd: string): void {
  for (const name of names) resolvePlugin(name, cwd)
}

/**
 * A plugin may not answer for a scheme that another backend serves: the user could not see which
 * of the two keeps the data.
 *
 * @throws UsageError that names the plugin, the scheme and its owner
 */
export function refuseTakenSchemes(plugins: readonly Backend[], builtIn: readonly Backend[]): void {
  const owners = new Map(builtIn.flatMap(({ name, schemes }) => schemes.map((s) => [s, name])))
  for (const plugin of plugins) {
    for (const scheme of plugin.schemes) {
      const owner = owners.get(scheme)
      if (owner !== undefined) {
        throw new UsageError(
          `The plugin ${plugin.name} wants the scheme ${scheme}://, which belongs to ${owner}.`,
          `Change the scheme of the plugin, or drop --plugin ${plugin.name}.`,
        )
      }
      owners.set(scheme, plugin.name)
    }
  }
}

async function loadPlugin(name: string, cwd: string): Promise<ObjectStoreProvider> {
  const path = resolvePlugin(name, cwd)
  let module: { provider?: unknown }
  try {
    module = await import(pathToFileURL(path).href)
  } catch (cause) {
    // Version 1 imported functions that `walsync/store` no longer has, so it fails before it can be asked.
    const hint = /'walsync\/store' does not provide an export/.test(reason(cause))
      ? OTHER_VERSION
      : 'Fix the plugin, or drop its --plugin.'
    throw new UsageError(`Loading the plugin ${name} (${path}) failed: ${reason(cause)}`, hint, {
      cause,
    })
  }
  const { provider } = module
  try {
    assertProvider(provider, `${name} (${path})`)
  } catch (cause) {
    throw new UsageError(reason(cause), hintFor(provider), { cause })
  }
  return provider
}

const OTHER_VERSION = `The plugin was made for another version of walsync. Install one with \`apiVersion\` ${PROVIDER_API_VERSION}; its author finds what to change in docs/backends/writing-a-backend.md.`
const NEWER_VERSION =
  'Update walsync, or install a version of the plugin that was made for this one.'

/** A version of the interface that differs is not a defect of the plugin, so it gets its own hint. */
function hintFor(provider: unknown): string {
  const { apiVersion } = (provider ?? {}) as { apiVersion?: unknown }
  if (typeof apiVersion !== 'number' || apiVersion === PROVIDER_API_VERSION) return PLUGIN_AUTHOR
  return apiVersion < PROVIDER_API_VERSION ? OTHER_VERSION : NEWER_VERSION
}

/** As an `import` in `cwd` would: a package may export itself to `import` alone, which plain `require.resolve` does not see. */
function resolvePlugin(name: string, cwd: string): string {
  const path = name.startsWith('.') || isAbsolute(name) ? resolve(cwd, name) : name
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier, { ...context, conditions: ['node', 'import', 'module-sync', 'node-addons'] }),
  })
  try {
    const found = createRequire(resolve(cwd, 'walsync-plugins.js')).resolve(path)
    if (isAbsolute(found)) return found
    throw new Error(`${found} is a module of Node itself.`)
  } catch (cause) {
    throw new UsageError(
      `The plugin ${name} was not found from ${cwd}.`,
      path === name
        ? `Run npm install ${name} there, or give the path of a module, such as ./my-store.js.`
        : 'Check the path: it is relative to the current folder.',
      { cause },
    )
  } finally {
    hooks.deregister()
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
