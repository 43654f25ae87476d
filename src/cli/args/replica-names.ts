import { decodeSegment, encodeSegment, isStoreError } from '../../core/store/index.ts'
import { UsageError } from './usage-error.ts'

/** How the replica at the root of a URL is called: a Litestream URL names the replica itself. */
export const ROOT_NAME = '.'

/** A replica's prefix, without a slash at its end, as people read and type it. */
export function displayName(prefix: string): string {
  return prefix === '' ? ROOT_NAME : prefix.split('/').map(decodeSegment).join('/')
}

/**
 * The inverse: what `restore NAME` means as a prefix under the URL.
 *
 * @throws UsageError if no database could have that name
 */
export function prefixOf(name: string): string {
  if (name === ROOT_NAME) return ''
  try {
    return name.split('/').map(encodeSegment).join('/')
  } catch (error) {
    if (!isStoreError(error)) throw error
    throw new UsageError(
      `No replica can have the name ${JSON.stringify(name.slice(0, MAX_SHOWN))}.`,
      'Give a name as walsync list shows it: parts of up to 200 bytes with one / between them, and none at either end.',
      { cause: error },
    )
  }
}

/** Characters of a wrong name that an error shows. */
const MAX_SHOWN = 100
