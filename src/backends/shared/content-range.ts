import type { Readable } from 'node:stream'
import { StoreError } from '../../core/store/index.ts'

/** Which bytes of an object the body of a response contains; `end` is exclusive. */
export interface CarriedRange {
  readonly start: number
  readonly end: number
  /** Size of the whole object. */
  readonly size: number
}

/**
 * Reads Content-Range (`bytes 0-9/100`, last byte inclusive) or else Content-Length.
 *
 * @param asked first byte of the requested range, or `undefined` for the whole object
 * @param stream the body, destroyed if the response is refused
 * @throws StoreError `InvalidRange` if a range of an empty object was requested; `Unsupported` if
 *   the response contains anything else than the range; `Unavailable` if the response does not say
 *   how long it is
 */
export function carriedRange(
  key: string,
  asked: number | undefined,
  contentRange: string | undefined,
  contentLength: number | undefined,
  stream: Readable,
): CarriedRange {
  try {
    return carried(key, asked, contentRange, contentLength)
  } catch (error) {
    stream.destroy()
    throw error
  }
}

function carried(
  key: string,
  asked: number | undefined,
  contentRange: string | undefined,
  contentLength: number | undefined,
): CarriedRange {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '')
  if (match !== null) {
    const said = {
      start: Number(match[1]),
      end: Number(match[2]) + 1,
      size: Number(match[3]),
    }
    if (asked === undefined || said.start === asked) return said
  }
  if (asked !== undefined) throw contentLength === 0 ? emptyObject(key) : rangeIgnored(key)
  if (contentLength === undefined || Number.isNaN(contentLength)) throw lengthMissing('get', key)
  return { start: 0, end: contentLength, size: contentLength }
}

/** The header that requests a range: `end` is exclusive here, but inclusive in the header. */
export function rangeHeader(start: number, end: number | undefined): string {
  return `bytes=${start}-${end === undefined ? '' : end - 1}`
}

/** Azurite answers like this; the services themselves return 416. */
function emptyObject(key: string): StoreError {
  return new StoreError('InvalidRange', `The object ${key} is empty and has no range.`, {
    op: 'get',
    key,
  })
}

function rangeIgnored(key: string): StoreError {
  return new StoreError(
    'Unsupported',
    `The response for a range of ${key} contains something else.`,
    { op: 'get', key, hint: 'Something between here and the service drops the Range header.' },
  )
}

export function lengthMissing(op: string, key: string): StoreError {
  return new StoreError('Unavailable', `The response for ${key} does not say how long it is.`, {
    op,
    key,
    hint: 'Something between here and the service rewrites responses.',
  })
}
