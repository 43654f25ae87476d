import { RestoreError } from '../../core/restore/restore-error.ts'
import { isSegment, isStoreError } from '../../core/store/index.ts'
import {
  type DetectedReplica,
  detectAll,
  detectConcatenated,
  detectFormats,
} from '../../legacy/detect-formats.ts'
import { ROOT_NAME } from '../args/replica-names.ts'
import { parseReplicaUrl } from '../args/replica-url.ts'
import type { CommandContext } from '../command-context.ts'
import type { OpenedStore } from '../composition/open-store.ts'
import { noReplica } from './no-replica.ts'
import type { Located, OtherReplica } from './other-replica.ts'
import { UnreadableReplica } from './unreadable-replica.ts'

/** The replicas of other formats that the URL given with `-b` can mean. */
export class OtherFormats {
  readonly #context: CommandContext
  readonly #bucket: string
  readonly #opened: OpenedStore

  constructor(context: CommandContext, bucket: string, opened: OpenedStore) {
    this.#context = context
    this.#bucket = bucket
    this.#opened = opened
  }

  /** All of them. A folder that does not exist has none. @throws StoreError */
  async list(): Promise<OtherReplica[]> {
    const { signal } = this.#context
    const opened = this.#opened
    const detected = (await unlessMissing(() => detectAll(opened.store, { signal }))) ?? []
    const inside = detected.map(({ prefix, format }) => {
      const name = prefix === '' ? ROOT_NAME : prefix
      return replicaOf(format, { name, prefix, opened, isConcatenated: false })
    })
    return [...(await Promise.all(inside)), ...(await this.#concatenated())]
  }

  /** The one with this name: under the URL, or else concatenated with its end. @throws StoreError */
  async find(name: string): Promise<OtherReplica | undefined> {
    const prefix = name === ROOT_NAME ? '' : name
    if (prefix !== '' && !prefix.split('/').every(isSegment)) return undefined
    const { signal } = this.#context
    const opened = this.#opened
    const formats = await unlessMissing(() => detectFormats(opened.store, prefix, { signal }))
    const [format] = formats ?? []
    if (format !== undefined) {
      return await replicaOf(format, { name, prefix, opened, isConcatenated: false })
    }
    return (await this.#concatenated()).find((replica) => replica.name === name)
  }

  /**
   * Runs a command on the replica of LTX files with this name. If there is none, runs it on the
   * replica of another format instead.
   *
   * @param options `orEarlier`: also if the replica of LTX files starts after the time asked for
   * @throws RestoreError `NoReplica` with the names that exist, if there is neither
   */
  async orOther<T>(
    name: string,
    run: () => Promise<T>,
    runOther: (replica: OtherReplica) => Promise<T>,
    { orEarlier = false }: { readonly orEarlier?: boolean } = {},
  ): Promise<T> {
    try {
      return await run()
    } catch (error) {
      const isTooEarly =
        orEarlier && error instanceof RestoreError && error.code === 'TargetNotReachable'
      const isAbsent = error instanceof RestoreError && error.code === 'NoReplica'
      if (!isTooEarly && !isAbsent && !isMissing(error)) throw error
      const replica = await this.find(name)
      if (replica !== undefined && (replica.isReadable || !isTooEarly)) {
        return await runOther(replica)
      }
      if (!isAbsent) throw error
      const others = (await this.list()).map((other) => other.name)
      throw await noReplica(error, name, this.#opened, this.#context.signal, others)
    }
  }

  async #concatenated(): Promise<OtherReplica[]> {
    const { cwd, signal, logger } = this.#context
    const at = concatenatedPrefix(this.#bucket, cwd)
    if (at === undefined) return []
    try {
      const opened = await this.#context.openStore(at.url, { signal, create: false })
      const detected = await detectConcatenated(opened.store, at.start, { signal })
      return await Promise.all(
        detected.map(({ prefix, format }) => {
          const name = prefix.slice(at.start.length)
          return replicaOf(format, { name, prefix, opened, isConcatenated: true })
        }),
      )
    } catch (error) {
      // The credentials may be for this prefix alone; then they cannot restore anything next to it.
      const isHidden = isStoreError(error) && HIDDEN.has(error.code)
      if (!isHidden) throw error
      logger.debug(
        { url: at.url, code: error.code },
        'did not look for replicas of walsync 0.1 next to the prefix of the URL',
      )
      return []
    }
  }
}

const HIDDEN: ReadonlySet<string> = new Set(['PermissionDenied', 'ContainerNotFound'])

/** The reader of walsync 0.1 is loaded only where such a replica was found. */
async function replicaOf(
  format: DetectedReplica['format'],
  located: Located,
): Promise<OtherReplica> {
  if (format !== 'walsync-0.1') return new UnreadableReplica(located, format)
  const { LegacyReplica } = await import('./legacy-replica.ts')
  return new LegacyReplica(located)
}

async function unlessMissing<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return isStoreError(error) && error.code === 'ContainerNotFound'
}

/** Where walsync 0.1 stored databases for a URL without a slash at its end. */
interface ConcatenatedPrefix {
  /** URL of the folder above, as `-b` takes it. */
  readonly url: string
  /** Last part of the URL: the names of the databases' folders start with it. */
  readonly start: string
}

/** Schemes whose paths are key prefixes; how a plugin interprets a path is unknown. */
const PATH_SCHEMES: ReadonlySet<string> = new Set(['s3', 'tigris', 'gs', 'az', 'abs', 'file'])

/**
 * walsync 0.1 concatenated the prefix and the name as they were: with `-b s3://bucket/backups` the
 * database `app` is in `backupsapp`. `undefined` if the URL has no prefix or ends with a slash.
 *
 * @throws UsageError as `parseReplicaUrl`
 */
export function concatenatedPrefix(text: string, cwd: string): ConcatenatedPrefix | undefined {
  if (/\/(?:\?|$)/.test(text)) return undefined
  const url = parseReplicaUrl(text, cwd)
  if (!PATH_SCHEMES.has(url.protocol.slice(0, -1))) return undefined
  const slash = url.pathname.lastIndexOf('/')
  const last = url.pathname.slice(slash + 1)
  // No key needs an escape, so a part with one cannot be the start of a key.
  if (last === '' || !/^[A-Za-z0-9._=-]+$/.test(last)) return undefined
  url.pathname = url.pathname.slice(0, slash)
  return { url: url.href, start: last }
}
