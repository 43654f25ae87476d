import { type ObjectStore, type ObjectStoreProvider, RetryingStore } from '../core/store/index.ts'
import type { Backend } from './composition/backend.ts'
import type { ShutdownStack } from './composition/shutdown-stack.ts'
import type { Surroundings } from './composition/tokens.ts'
import type { Logger } from './logger.ts'
import { parseReplicaUrl } from './replica-url.ts'
import { UsageError } from './usage-error.ts'

/** A store at the replica URL's own prefix, and the key layout that Litestream expects there. */
export interface OpenedStore {
  readonly store: ObjectStore
  readonly layout: ObjectStoreProvider['layout']
}

/**
 * Opens what `-b` names. Transient errors are retried inside; the store is closed when the command ends.
 *
 * @throws UsageError for a URL that cannot be meant, or a scheme that no backend has
 */
export type OpenStore = (
  url: string,
  options: { readonly signal: AbortSignal },
) => Promise<OpenedStore>

/** Schemes meet backends here and nowhere else. */
export function createOpenStore(
  backends: Backend[],
  surroundings: Surroundings,
  shutdown: ShutdownStack,
  logger: Logger,
): OpenStore {
  return async (text, { signal }) => {
    const url = withFlags(parseReplicaUrl(text, surroundings.cwd), surroundings)
    const provider = await loadBackend(backendFor(url, backends))
    const opened = await provider.open(url, surroundings.env, { signal })
    const store = new RetryingStore(opened)
    shutdown.push(store.description, () => store.close())
    logger.debug({ store: store.description, backend: provider.name }, 'store opened')
    return { store, layout: provider.layout }
  }
}

function backendFor(url: URL, backends: readonly Backend[]): Backend {
  const scheme = url.protocol.slice(0, -1)
  const found = backends.find((backend) => backend.schemes.includes(scheme))
  if (found !== undefined) return found
  const known = backends.flatMap((backend) => backend.schemes.map((name) => `${name}://`))
  throw new UsageError(
    `No backend knows ${scheme}:// URLs. Known: ${known.join(', ')}.`,
    `use one of these, or name the plugin that brings ${scheme}:// with --plugin NAME`,
  )
}

async function loadBackend(backend: Backend): Promise<ObjectStoreProvider> {
  try {
    return await backend.load()
  } catch (error) {
    const missing = missingPackage(error)
    if (missing === undefined) throw error
    throw new UsageError(
      `The ${backend.name} backend needs the package ${missing}, which is not installed.`,
      `run npm install ${missing} beside walsync`,
      { cause: error },
    )
  }
}

function missingPackage(error: unknown): string | undefined {
  const { code, message } = error as NodeJS.ErrnoException
  if (code !== 'ERR_MODULE_NOT_FOUND') return undefined
  return /Cannot find package '([^']+)'/.exec(message)?.[1]
}

/** Flags win over the URL's own query, as everywhere on a command line. */
function withFlags(url: URL, { endpoint, region }: Surroundings): URL {
  for (const [name, value] of Object.entries({ endpoint, region })) {
    if (value === undefined) continue
    if (url.protocol === 'file:') {
      throw new UsageError(
        `--${name} has no meaning for a folder (${url.pathname}).`,
        `leave --${name} out`,
      )
    }
    url.searchParams.set(name, value)
  }
  return url
}
