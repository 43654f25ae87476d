import { decodeSegment, encodeSegment } from '../core/store/index.ts'

/** How the replica at the root of a URL is called: a Litestream URL names the replica itself. */
const ROOT = '.'

/** A replica's prefix, without a slash at its end, as people read and type it. */
export function displayName(prefix: string): string {
  return prefix === '' ? ROOT : prefix.split('/').map(decodeSegment).join('/')
}

/**
 * The inverse: what `restore NAME` means as a prefix under the URL.
 *
 * @throws StoreError `InvalidKey` if no database could have that name
 */
export function prefixOf(name: string): string {
  return name === ROOT ? '' : name.split('/').map(encodeSegment).join('/')
}
