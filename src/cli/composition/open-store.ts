import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ReplicaClient } from '../../core/replica/replica-client.ts'
import {
  type ObjectStore,
  type ObjectStoreProvider,
  PrefixedStore,
  RetryingStore,
  type RetryOptions,
  withoutConditions,
} from '../../core/store/index.ts'
import { ObservedStore, type StoreVerb } from '../../core/store/observed-store.ts'
import { parseReplicaUrl } from '../args/replica-url.ts'
import { UsageError } from '../args/usage-error.ts'
import type { Logger } from '../output/logger.ts'
import type { Backend } from './backend.ts'
import type { ShutdownStack } from './shutdown-stack.ts'

/** The process that composes: where relative paths start, credentials come from, flags apply. */
export interface Surroundings {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** `--endpoint`: replaces the provider's own address. */
  readonly endpoint?: string | undefined
  /** `--region`. */
  readonly region?: string | undefined
  /** Are they from the environment of the process? Then a folder, for which they have no meaning, ignores them. */
  readonly isAmbient?: { readonly endpoint: boolean; readonly region: boolean } | undefined
}

/** A store at the replica URL's own prefix, and the key layout that Litestream expects there. */
export interface OpenedStore {
  readonly store: ObjectStore
  readonly layout: ObjectStoreProvider['layout']
  /** Name of the backend or plugin. */
  readonly backend: string
  /** Calls of the store so far, by kind; one that is tried again counts each time. */
  readonly requests: () => Readonly<Record<StoreVerb, number>>
}

export interface OpenStoreOptions {
  readonly signal: AbortSignal
  /**
   * The caller is about to write, so a folder that is not there yet is made. Without it, a mistyped
   * path is an error and no empty store.
   */
  readonly create: boolean
  /** How long one call tries again; default: the store layer's own patience. */
  readonly retry?: RetryOptions | undefined
}

/**
 * Opens what `-b` names. Transient errors are retried inside; the store is closed when the command ends.
 *
 * @throws UsageError for a URL that cannot be meant, or a scheme that no backend has
 * @throws StoreError `InvalidArgument` for a URL or flag that the backend refuses
 */
export type OpenStore = (url: string, options: OpenStoreOptions) => Promise<OpenedStore>

/** Of one replica, for commands that take it as it is, also in the layout of another kind of store. */
export function replicaClient(opened: OpenedStore, prefix: string, fencing = true): ReplicaClient {
  const store = replicaStore(opened, prefix, fencing)
  return new ReplicaClient(store, opened.layout, { eitherLayout: true })
}

/** The part of a store that holds one replica. @param fencing false: no conditional write is sent */
export function replicaStore(
  { store }: Pick<OpenedStore, 'store'>,
  prefix: string,
  fencing = true,
): ObjectStore {
  const whole = prefix === '' ? store : new PrefixedStore(store, prefix)
  return fencing ? whole : withoutConditions(whole)
}

/**
 * Refuses what `OpenStore` would refuse of a URL and its flags, without opening anything.
 *
 * @returns the scheme, if only a plugin can know it and whether the URL is right
 * @throws UsageError, StoreError as `OpenStore` does
 */
export type ValidateStore = (url: string) => Promise<string | undefined>

/** @param isPluginNamed plugins are named that are not loaded: a scheme may be theirs */
export function createValidateStore(
  backends: readonly Backend[],
  surroundings: Surroundings,
  isPluginNamed: boolean,
): ValidateStore {
  return async (text) => {
    const { url } = takeLayout(parseReplicaUrl(text, surroundings.cwd))
    const scheme = url.protocol.slice(0, -1)
    const isKnown = backends.some(({ schemes }) => schemes.includes(scheme))
    if (!isKnown && isPluginNamed) return scheme
    const backend = backendFor(url, backends)
    const options = backendOptions(url, surroundings, true)
    const provider = await backend.load()
    provider.validate?.(url, surroundings.env, options)
    return undefined
  }
}

/** Schemes meet backends here and nowhere else. */
export function createOpenStore(
  backends: Backend[],
  surroundings: Surroundings,
  shutdown: Pick<ShutdownStack, 'push'>,
  logger: Pick<Logger, 'debug' | 'warn'>,
): OpenStore {
  return async (text, { signal, create, retry }) => {
    const { url, layout } = takeLayout(parseReplicaUrl(text, surroundings.cwd))
    const backend = backendFor(url, backends)
    warnOfFolder(text, url, surroundings.cwd, logger)
    const options = backendOptions(url, surroundings, create)
    const provider = await backend.load()
    const inner = await provider.open(url, surroundings.env, { ...options, signal })
    const observed = new ObservedStore(inner)
    const store = new RetryingStore(observed, retry)
    shutdown.push(store.description, () => store.close())
    logger.debug({ store: store.description, backend: backend.name }, 'store opened')
    return {
      store,
      layout: layout ?? provider.layout,
      backend: backend.name,
      requests: () => observed.calls,
    }
  }
}

/** `?layout=` is the command line's own, for every backend: none of them is shown it. */
function takeLayout(given: URL): { url: URL; layout?: OpenedStore['layout'] } {
  if (!given.searchParams.has('layout')) return { url: given }
  const url = new URL(given)
  const layout = url.searchParams.get('layout')
  url.searchParams.delete('layout')
  if (layout === 'ltx' || layout === 'hex') return { url, layout }
  throw new UsageError(
    `The URL asks for the layout ${JSON.stringify(layout)}.`,
    'Write layout=ltx or layout=hex, or leave it out.',
  )
}

function backendFor(url: URL, backends: readonly Backend[]): Backend {
  const scheme = url.protocol.slice(0, -1)
  const found = backends.find((backend) => backend.schemes.includes(scheme))
  if (found !== undefined) return found
  const known = backends.flatMap((backend) => backend.schemes.map((name) => `${name}://`))
  throw new UsageError(
    `No backend knows ${scheme}:// URLs. Known: ${known.join(', ')}.`,
    `Use one of these, or name the plugin for ${scheme}:// with --plugin NAME.`,
  )
}

/** A bare name is a bucket, as in walsync 0.1; who has a folder of that name may have meant the folder. */
function warnOfFolder(text: string, url: URL, cwd: string, logger: Pick<Logger, 'warn'>): void {
  if (url.protocol !== 's3:' || /^s3:/i.test(text)) return
  if (statSync(resolve(cwd, text), { throwIfNoEntry: false })?.isDirectory() !== true) return
  logger.warn(`"${text}" is taken for an S3 bucket; for the folder of that name write ./${text}`)
}

/** Flags win over the URL's own query, as everywhere on a command line. */
function backendOptions(
  url: URL,
  { endpoint, region, isAmbient }: Surroundings,
  create: boolean,
): Record<string, unknown> {
  const given = Object.entries({ endpoint, region }).filter(([, value]) => value !== undefined)
  if (url.protocol !== 'file:') return Object.fromEntries(given)
  for (const [name] of given) {
    if (isAmbient?.[name as 'endpoint' | 'region']) continue
    throw new UsageError(
      `--${name} has no meaning for a folder (${url.pathname}).`,
      `Leave --${name} out.`,
    )
  }
  return create && !url.searchParams.has('create') ? { create: true } : {}
}
