import { existsSync } from 'node:fs'
import { DurableWriteError } from '../../core/fs/durable-file.ts'
import {
  isStoreError,
  StoreError,
  type StoreErrorCode,
  type StoreErrorOptions,
} from '../../core/store/index.ts'

/** errno(3) names that mean the same wherever they come from; ENOENT and EEXIST depend on the call. */
const CODES: Readonly<Record<string, StoreErrorCode>> = {
  ENOSPC: 'NoSpace',
  EDQUOT: 'NoSpace',
  EACCES: 'PermissionDenied',
  EPERM: 'PermissionDenied',
  EROFS: 'PermissionDenied',
  EISDIR: 'InvalidKey',
  ENOTDIR: 'InvalidKey',
  ENAMETOOLONG: 'InvalidKey',
  ELOOP: 'InvalidKey',
  EFBIG: 'InvalidArgument',
  EMFILE: 'Unavailable',
  ENFILE: 'Unavailable',
  ENOMEM: 'Unavailable',
  EAGAIN: 'Unavailable',
  EBUSY: 'Unavailable',
  EINTR: 'Unavailable',
  EIO: 'Unavailable',
  ESTALE: 'Unavailable',
  ETIMEDOUT: 'Unavailable',
  ENOENT: 'Unavailable',
}

const HINTS: Partial<Record<StoreErrorCode, string>> = {
  NoSpace: 'Free some space on the disk or raise the quota, then try again.',
  PermissionDenied: 'Check the owner and mode of the folder, and whether it is mounted read-only.',
  InvalidKey: 'On a file system, a name is either a file or a folder, and links are not followed.',
}

export function errnoOf(error: unknown): string | undefined {
  const cause = error instanceof DurableWriteError ? error.cause : error
  const code = (cause as NodeJS.ErrnoException | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** Maps an error of the file system to a `StoreError`. */
export function mapFileError(
  error: unknown,
  { op, key }: { readonly op: string; readonly key?: string | undefined },
): StoreError {
  if (isStoreError(error)) return error
  const code = CODES[errnoOf(error) ?? ''] ?? 'Unknown'
  const maybe = error instanceof DurableWriteError && error.code === 'MaybeWritten'
  const what = key === undefined ? op : `${op} of ${key}`
  const reason = error instanceof Error ? error.message : String(error)
  return storeError(code, `The ${what} failed: ${reason}`, {
    op,
    key,
    cause: error instanceof DurableWriteError ? error.cause : error,
    outcome: maybe ? 'unknown' : 'not-applied',
  })
}

export function alreadyExists(key: string): StoreError {
  return storeError('AlreadyExists', `The object ${key} exists already.`, { op: 'put', key })
}

export function notFound(key: string): StoreError {
  return storeError('NotFound', `There is no object ${key}.`, { op: 'get', key })
}

export function changed(op: string, key: string): StoreError {
  const message = `The object ${key} is not the expected version.`
  return storeError('PreconditionFailed', message, { op, key })
}

export function isFolder(op: string, key: string): StoreError {
  const message = `The key ${key} is the name of a folder, link or device.`
  return storeError('InvalidKey', message, { op, key })
}

export function leadsOut(op: string, key: string): StoreError {
  const message = `The path of ${key} leads through a symbolic link.`
  return storeError('InvalidKey', message, { op, key })
}

export function notAFolder(op: string, path: string): StoreError {
  return new StoreError('InvalidKey', `${path} is not a folder.`, {
    op,
    hint: 'A folder of the replica was replaced by a file or a link. Put the folder back, or use another replica: links are not followed.',
  })
}

export function notAFile(op: string, path: string): StoreError {
  return new StoreError('InvalidKey', `${path} is not a regular file.`, {
    op,
    hint: 'An object of the replica was replaced by a folder, a link or a device. Put the file back, or remove what is there.',
  })
}

export function rootNotFound(op: string, key: string | undefined, root: string): StoreError {
  const message = existsSync(root)
    ? `${root} is not a folder.`
    : `The folder ${root} does not exist.`
  return new StoreError('ContainerNotFound', message, {
    op,
    key,
    hint: 'Check the path, and that its disk is mounted.',
  })
}

export function noHardLinks(key: string, cause: unknown): StoreError {
  return new StoreError(
    'Unsupported',
    `The put of ${key} failed: this file system does not support hard links.`,
    {
      op: 'put',
      key,
      cause,
      hint: 'Create-only writes need link(2). Use a local disk (ext4, xfs, btrfs, zfs).',
    },
  )
}

function storeError(code: StoreErrorCode, message: string, options: StoreErrorOptions): StoreError {
  return new StoreError(code, message, { ...options, hint: HINTS[code] })
}
