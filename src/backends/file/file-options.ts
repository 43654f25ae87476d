import { isAbsolute } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DurableFs } from '../../core/fs/durable-fs.ts'
import { StoreError } from '../../core/store/index.ts'

export interface FileStoreOptions {
  /** Absolute path of the folder that holds the objects. */
  readonly root: string
  /**
   * What a missing root means. Not given: the first put creates it, and until then all reads reject
   * with `ContainerNotFound`, so that a mistyped path does not pass for an empty backup. True (for
   * a writer's first start): it reads as empty, and `check` or a put creates it. False (for a mount
   * that must be there): puts reject as well.
   */
  readonly create?: boolean | undefined
  /** For tests that record the calls of a put or make them fail. Default: Node's own. */
  readonly fs?: DurableFs | undefined
}

const FLAGS: Readonly<Record<string, boolean>> = { '1': true, true: true, '0': false, false: false }

/**
 * `file:///absolute/path?create=1`; an entry in `options` wins over the URL's query.
 *
 * @throws StoreError `InvalidArgument`
 */
export function parseFileUrl(
  url: URL,
  options: Readonly<Record<string, unknown>>,
): FileStoreOptions {
  if (url.host !== '' && url.host !== 'localhost') {
    throw invalid(`The URL ${url.protocol}//${url.host}/… names a host`, 'Write file:///path.')
  }
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'create')
  if (unknown !== undefined) {
    throw invalid(`The file URL has an unknown parameter "${unknown}"`, 'Known: create.')
  }
  const create = parseFlag(options.create ?? url.searchParams.get('create') ?? undefined)
  let root: string
  try {
    root = fileURLToPath(new URL(`file://${url.pathname}`))
  } catch (cause) {
    throw invalid('The file URL has no usable path', 'Write file:///path.', cause)
  }
  return { root, create }
}

/** @throws StoreError `InvalidArgument` */
export function assertRoot(root: string): void {
  if (typeof root !== 'string' || !isAbsolute(root) || root.includes('\0')) {
    throw invalid(`Expected \`root\` to be an absolute path, got ${JSON.stringify(root)}`)
  }
}

function parseFlag(value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  const flag = FLAGS[String(value)]
  if (flag !== undefined) return flag
  throw invalid(`Expected \`create\` to be 1 or 0, got ${JSON.stringify(value)}`)
}

function invalid(problem: string, hint?: string, cause?: unknown): StoreError {
  return new StoreError('InvalidArgument', `${problem}.`, { op: 'open', hint, cause })
}
