import { assertKey, isStoreError, type StoreError } from '../../core/store/index.ts'

/** Objects of other programs, such as the consoles' directory markers, are none of a store's. */
export function isKey(key: string): boolean {
  return keyError(key, 'list') === undefined
}

/** What `assertKey` has against a key. */
export function keyError(key: string, op: string): StoreError | undefined {
  try {
    assertKey(key, op)
    return undefined
  } catch (error) {
    if (isStoreError(error)) return error
    throw error
  }
}
