import { StoreError } from './store-error.ts'

/**
 * Longest key and longest segment in bytes. They leave room for a URL prefix within the 1,024 bytes
 * of S3 and GCS, and within file names of 255 bytes.
 */
export const MAX_KEY_BYTES = 512
export const MAX_SEGMENT_BYTES = 200

const SEGMENT = /^[A-Za-z0-9_=-](?:[A-Za-z0-9._=-]*[A-Za-z0-9_=-])?$/

/**
 * Refuses, before any I/O, a key outside the grammar that all backends share: segments of
 * `[A-Za-z0-9._=-]` separated by `/`, none empty, none starting or ending with a dot. ASCII makes
 * byte order, UTF-16 order and every provider's order the same.
 *
 * @throws StoreError `InvalidKey`
 */
export function assertKey(key: string, op: string): void {
  const error = keyError(key, op)
  if (error !== undefined) throw error
}

/** What `assertKey` would throw, or `undefined` for a legal key. */
export function keyError(key: string, op: string): StoreError | undefined {
  const problem = keyProblem(key)
  if (problem === undefined) return undefined
  const shown = JSON.stringify(String(key).slice(0, 100))
  return new StoreError('InvalidKey', `The key ${shown} ${problem}.`, { op, key: String(key) })
}

/** Is this a legal key? Other names, such as directory markers, belong to other programs. */
export function isKey(key: string): boolean {
  return keyProblem(key) === undefined
}

/** Is this text one segment of a legal key? */
export function isSegment(text: string): boolean {
  return text.length <= MAX_SEGMENT_BYTES && SEGMENT.test(text)
}

function keyProblem(key: string): string | undefined {
  if (typeof key !== 'string' || key.length === 0) return 'is empty'
  if (key.length > MAX_KEY_BYTES) return `is longer than ${MAX_KEY_BYTES} bytes`
  for (const segment of key.split('/')) {
    if (segment.length === 0) return 'has an empty segment'
    if (segment.length > MAX_SEGMENT_BYTES)
      return `has a segment of over ${MAX_SEGMENT_BYTES} bytes`
    if (!SEGMENT.test(segment))
      return 'has a segment outside [A-Za-z0-9._=-], or with a dot at its start or end'
  }
  return undefined
}

/**
 * Turns any text (a database's file name) into one key segment: UTF-8 bytes outside the grammar,
 * `=` itself and a dot at either end become `=XX`. Reversible; does not preserve order.
 *
 * @throws StoreError `InvalidKey` if the text is empty, holds a lone surrogate, or the result exceeds 200 bytes
 */
export function encodeSegment(text: string): string {
  if (text.length === 0 || !text.isWellFormed()) {
    throw new StoreError(
      'InvalidKey',
      `The name ${JSON.stringify(text)} cannot be part of a key.`,
      { op: 'encode', hint: NAME_HINT },
    )
  }
  const bytes = new TextEncoder().encode(text)
  let out = ''
  for (const [i, byte] of bytes.entries()) {
    const char = String.fromCharCode(byte)
    const edgeDot = char === '.' && (i === 0 || i === bytes.length - 1)
    const plain = /[A-Za-z0-9._-]/.test(char) && !edgeDot
    out += plain ? char : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  if (out.length > MAX_SEGMENT_BYTES) {
    throw new StoreError(
      'InvalidKey',
      `The name ${JSON.stringify(text.slice(0, 100))} is too long for a key.`,
      { op: 'encode', hint: NAME_HINT },
    )
  }
  return out
}

const NAME_HINT = 'Check the path of the database, or give its replica another name.'

/** The inverse of `encodeSegment`. A segment that it did not write is returned unchanged. */
export function decodeSegment(segment: string): string {
  if (!segment.includes('=')) return segment
  const bytes: number[] = []
  for (let i = 0; i < segment.length; i++) {
    const hex = segment.slice(i + 1, i + 3)
    if (segment[i] === '=' && /^[0-9A-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16))
      i += 2
    } else {
      bytes.push(segment.charCodeAt(i))
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes))
  } catch {
    return segment
  }
}
