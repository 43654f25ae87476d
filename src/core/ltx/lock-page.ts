const PENDING_BYTE = 0x40000000

/**
 * Number of the page that holds SQLite's lock bytes (file offset 1 GiB). SQLite never stores data
 * there, an LTX file never contains it, and a restored database has zeros in its place.
 * Source: https://www.sqlite.org/fileformat2.html#the_lock_byte_page
 *
 * @param pageSize In bytes.
 */
export function lockPage(pageSize: number): number {
  return Math.floor(PENDING_BYTE / pageSize) + 1
}
