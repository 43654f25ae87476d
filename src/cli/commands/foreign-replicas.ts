import { isSegment, isStoreError } from '../../core/store/index.ts'
import { type ForeignFormat, findForeign, findGlued, foreignFormats } from '../../legacy/index.ts'
import { ROOT_NAME } from '../args/replica-names.ts'
import type { CommandContext } from '../command-context.ts'
import type { OpenedStore } from '../composition/open-store.ts'
import { gluedPrefix } from './concatenated-prefix.ts'

/** A replica that is not of LTX files, and where it stands. */
export interface FoundForeign {
  /** As `restore` takes it. */
  readonly name: string
  readonly format: ForeignFormat
  readonly opened: OpenedStore
  /** In the store opened, without a slash at the end; empty for the root. */
  readonly prefix: string
  /** Was the name put together with the end of the URL? */
  readonly isGlued: boolean
}

/**
 * All replicas of other formats that the URL given with `-b` can mean. A missing folder holds none.
 *
 * @throws StoreError
 */
export async function listForeign(
  context: CommandContext,
  bucket: string,
  opened: OpenedStore,
): Promise<FoundForeign[]> {
  const { signal } = context
  const inside = (await unlessMissing(() => findForeign(opened.store, { signal }))) ?? []
  const found = inside.map(({ prefix, format }) => {
    return { name: prefix === '' ? ROOT_NAME : prefix, format, opened, prefix, isGlued: false }
  })
  return [...found, ...(await gluedReplicas(context, bucket))]
}

/**
 * The replica of another format that a name means: under the URL, or else put together with its end.
 *
 * @throws StoreError
 */
export async function foreignNamed(
  context: CommandContext,
  bucket: string,
  opened: OpenedStore,
  name: string,
): Promise<FoundForeign | undefined> {
  const prefix = name === ROOT_NAME ? '' : name
  if (prefix !== '' && !prefix.split('/').every(isSegment)) return undefined
  const { signal } = context
  const formats = await unlessMissing(() => foreignFormats(opened.store, prefix, { signal }))
  const [format] = formats ?? []
  if (format !== undefined) return { name, format, opened, prefix, isGlued: false }
  return (await gluedReplicas(context, bucket)).find((one) => one.name === name)
}

async function unlessMissing<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look()
  } catch (error) {
    if (isStoreError(error) && error.code === 'ContainerNotFound') return undefined
    throw error
  }
}

async function gluedReplicas(context: CommandContext, bucket: string): Promise<FoundForeign[]> {
  const glued = gluedPrefix(bucket, context.cwd)
  if (glued === undefined) return []
  const { signal, logger } = context
  try {
    const opened = await context.openStore(glued.url, { signal, create: false })
    const found = await findGlued(opened.store, glued.glue, { signal })
    return found.map(({ prefix, format }) => {
      return { name: prefix.slice(glued.glue.length), format, opened, prefix, isGlued: true }
    })
  } catch (error) {
    // The credentials may be for this prefix alone; then nothing of what is beside it can be restored with them.
    const hidden = isStoreError(error) && HIDDEN.has(error.code)
    if (!hidden) throw error
    logger.debug(
      { url: glued.url, code: error.code },
      'what stands beside the URL was not looked at',
    )
    return []
  }
}

const HIDDEN: ReadonlySet<string> = new Set(['PermissionDenied', 'ContainerNotFound'])
