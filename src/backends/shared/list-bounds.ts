import { MAX_KEY_BYTES, MAX_SEGMENT_BYTES, StoreError } from '../../core/store/index.ts'

/** Can a legal key begin with this prefix? Some services refuse to list any other. */
export function canBegin(prefix: string): boolean {
  const segments = prefix.split('/')
  const last = segments.pop() ?? ''
  return (
    prefix.length <= MAX_KEY_BYTES &&
    last.length <= MAX_SEGMENT_BYTES &&
    /^(?:[A-Za-z0-9_=-][A-Za-z0-9._=-]*)?$/.test(last) &&
    segments.every((segment) => /^[A-Za-z0-9_=-](?:[A-Za-z0-9._=-]*[A-Za-z0-9_=-])?$/.test(segment))
  )
}

/**
 * A start that every service accepts: `startAfter` up to the first character that no key can have
 * there. It sorts before `startAfter` or equals it; the caller skips the keys in between.
 */
export function safeStart(startAfter: string): string {
  let start = startAfter.slice(0, MAX_KEY_BYTES)
  while (!canBegin(start)) start = start.slice(0, -1)
  return start
}

/** Does `b` come after `a`? */
export type NameOrder = (a: string, b: string) => boolean

/** The order of the names' UTF-8 bytes. For ASCII it equals JavaScript's own order. */
export const byBytes: NameOrder = (a, b) =>
  a < b || (a !== b && Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0)

/** The order of a tree walk: `/` comes before every other character. */
export const byFolders: NameOrder = (a, b) =>
  byBytes(a.replaceAll('/', '\0'), b.replaceAll('/', '\0'))

/** A page may be empty where much was deleted, but not this many in a row. */
const MAX_IDLE_PAGES = 10_000

/** What the service sent, unfiltered. */
export interface RawPage {
  readonly names: readonly string[]
  readonly prefixes?: readonly string[] | undefined
  /** Continuation token for the next page. */
  readonly token: string | undefined
}

/**
 * Checks page by page that a listing does what the service promises: names ascend, and it ends.
 * Names out of order would make a restore miss files, and an endless listing would go unnoticed.
 */
export class ListGuard {
  readonly #container: string
  #orders: readonly NameOrder[]
  #name: string | undefined
  #prefix: string | undefined
  #token: string | undefined
  #pages = 0
  #idle = 0

  /** @param orders the orders that the service may use; the listing must keep to one of them */
  constructor(container: string, orders: readonly NameOrder[] = [byBytes]) {
    this.#container = container
    this.#orders = orders
  }

  /** @throws StoreError `Corrupted` */
  check({ names, prefixes = [], token }: RawPage): void {
    const before = [this.#name, this.#prefix]
    for (const name of names) {
      this.#ascend(this.#name, name)
      this.#name = name
    }
    for (const prefix of prefixes) {
      // Services differ in whether a folder that continues on the next page is listed again.
      if (prefix !== this.#prefix) this.#ascend(this.#prefix, prefix)
      this.#prefix = prefix
    }
    const moved = before[0] !== this.#name || before[1] !== this.#prefix
    this.#idle = moved ? 0 : this.#idle + 1
    if (token !== undefined) this.#goOn(token)
  }

  #ascend(last: string | undefined, next: string): void {
    if (last === undefined) return
    this.#orders = this.#orders.filter((order) => order(last, next))
    if (this.#orders.length > 0) return
    const [a, b] = [last, next].map((name) => JSON.stringify(name.slice(-200)))
    throw this.#broken(`is out of order: ${b} comes after ${a}`)
  }

  /**
   * Remembering one token detects a cycle of any length: it is replaced after 1, 2, 4, 8 … pages.
   */
  #goOn(token: string): void {
    if (token === this.#token) throw this.#broken('repeats a page instead of continuing')
    if (this.#idle > MAX_IDLE_PAGES) throw this.#broken('continues without any names')
    this.#pages++
    if ((this.#pages & (this.#pages - 1)) === 0) this.#token = token
  }

  #broken(problem: string): StoreError {
    return new StoreError('Corrupted', `The listing of ${this.#container} ${problem}.`, {
      op: 'list',
      hint: 'The service, or something in front of it, does not list correctly. Run walsync doctor.',
    })
  }
}
