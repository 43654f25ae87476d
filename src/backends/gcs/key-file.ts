import { createPrivateKey } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { isStoreError, type StoreError } from '../../core/store/index.ts'
import { invalidOption } from '../shared/settings.ts'

/** The fields of a key file, of whatever type. */
export type KeyFile = Readonly<Record<string, unknown>>

/** @see https://cloud.google.com/docs/authentication/application-default-credentials */
const TYPES: ReadonlySet<unknown> = new Set([
  'service_account',
  'authorized_user',
  'external_account',
  'external_account_authorized_user',
  'impersonated_service_account',
  'gdch_service_account',
])
/** Real ones have a few kilobytes. */
const MAX_BYTES = 1024 * 1024

/**
 * Reads a file of Google credentials. Nothing of its contents goes into a message.
 *
 * @throws StoreError `InvalidArgument` if it cannot be read, is not JSON, or holds something else
 */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const text = await readText(path)
  const value = parse(text)
  if (value === undefined) throw unusable(path, 'is not JSON')
  if ('installed' in value || 'web' in value)
    throw unusable(path, 'is the secret of an OAuth client')
  const { type, private_key: key } = value
  if (type === undefined) throw unusable(path, 'is JSON, but not a key file of Google')
  if (!TYPES.has(type)) throw unusable(path, `has the unknown type ${shown(type)}`)
  if (type === 'service_account' && !isPrivateKey(key)) {
    throw unusable(path, 'holds no usable private_key')
  }
  return value
}

/** Regular files only, as in Google's own libraries: opening a pipe could wait without end. */
async function readText(path: string): Promise<string> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = await file.stat()
    if (!stats.isFile()) throw unusable(path, 'is not a regular file')
    if (stats.size > MAX_BYTES) throw unusable(path, `is longer than ${MAX_BYTES} bytes`)
    return await file.readFile('utf8')
  } catch (error) {
    if (isStoreError(error)) throw error
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') throw unusable(path, 'does not exist')
    throw unusable(path, `cannot be read (${code ?? message})`)
  }
}

function parse(text: string): KeyFile | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isRecord ? (value as KeyFile) : undefined
  } catch {
    return undefined
  }
}

function isPrivateKey(pem: unknown): boolean {
  try {
    return createPrivateKey(String(pem)).type === 'private'
  } catch {
    return false
  }
}

function shown(type: unknown): string {
  return typeof type === 'string' ? JSON.stringify(type.slice(0, 40)) : 'of another kind than text'
}

function unusable(path: string, what: string): StoreError {
  return invalidOption(
    `The key file ${path} for Google Cloud Storage ${what}.`,
    'GOOGLE_APPLICATION_CREDENTIALS names the JSON file that was downloaded for a service account, or that gcloud auth application-default login wrote.',
  )
}
