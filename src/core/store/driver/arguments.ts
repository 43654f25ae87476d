import type { StoreCapabilities } from '../capabilities.ts'
import type { ByteRange, DeleteOptions, GetOptions, PutOptions } from '../object-store.ts'
import { StoreError } from '../store-error.ts'

/**
 * Refuses, before any I/O, conditions that make no sense or that the backend does not support.
 *
 * @throws StoreError `InvalidArgument` for two conditions at once or a bad `createdAt`
 * @throws StoreError `Unsupported` for a condition whose capability is `none`
 */
export function assertPutOptions(
  key: string,
  options: PutOptions | undefined,
  capabilities: StoreCapabilities,
): void {
  if (options === undefined) return
  const { ifAbsent, ifMatch, createdAt } = options as Readonly<Record<string, unknown>>
  if (ifAbsent !== undefined && ifMatch !== undefined) {
    throw invalid('put', key, 'ifAbsent and ifMatch exclude each other')
  }
  if (ifAbsent !== undefined && ifAbsent !== true) {
    throw invalid('put', key, 'ifAbsent must be true or absent')
  }
  assertVersion('put', key, ifMatch)
  if (createdAt !== undefined && !(createdAt instanceof Date && !Number.isNaN(+createdAt))) {
    throw invalid('put', key, 'createdAt is not a valid date')
  }
  if (ifAbsent === true && capabilities.ifAbsent === 'none') {
    throw unsupported('put', key, 'create-only puts (ifAbsent)')
  }
  if (ifMatch !== undefined && capabilities.ifMatch === 'none') {
    throw unsupported('put', key, 'compare-and-swap puts (ifMatch)')
  }
}

/** The same for a delete. */
export function assertDeleteOptions(
  key: string,
  options: DeleteOptions | undefined,
  capabilities: StoreCapabilities,
): void {
  assertVersion('delete', key, options?.ifMatch)
  if (options?.ifMatch !== undefined && capabilities.deleteIfMatch === 'none') {
    throw unsupported('delete', key, 'conditional deletes (ifMatch)')
  }
}

/** The same for a get: range bounds are whole numbers, `0 <= start < end`. */
export function assertGetOptions(key: string, options: GetOptions | undefined): void {
  assertVersion('get', key, options?.ifMatch)
  const range = options?.range
  if (range === undefined) return
  const { start, end } = range
  const whole = (n: number) => Number.isSafeInteger(n) && n >= 0
  if (!whole(start) || (end !== undefined && !(whole(end) && end > start))) {
    throw invalid('get', key, `the range ${start}..${end ?? ''} is not 0 <= start < end`)
  }
}

/**
 * The bytes that a range selects from an object of `size` bytes; without a range, all of them.
 *
 * @throws StoreError `InvalidRange` if the range starts at or past the end
 */
export function resolveRange(
  key: string,
  range: ByteRange | undefined,
  size: number,
): { readonly start: number; readonly end: number } {
  if (range === undefined) return { start: 0, end: size }
  if (range.start >= size) {
    throw new StoreError(
      'InvalidRange',
      `The range of ${key} starts at ${range.start}, but the object has ${size} bytes.`,
      { op: 'get', key },
    )
  }
  return { start: range.start, end: Math.min(range.end ?? size, size) }
}

function assertVersion(op: string, key: string, version: unknown): void {
  if (version !== undefined && (typeof version !== 'string' || version === '')) {
    throw invalid(op, key, 'ifMatch is not a version')
  }
}

function invalid(op: string, key: string, problem: string): StoreError {
  return new StoreError('InvalidArgument', `Cannot ${op} ${key}: ${problem}.`, { op, key })
}

function unsupported(op: string, key: string, what: string): StoreError {
  return new StoreError('Unsupported', `This store does not support ${what}: ${op} of ${key}.`, {
    op,
    key,
  })
}
