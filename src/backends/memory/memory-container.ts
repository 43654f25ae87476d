import type { ObjectInfo, Version } from '../../core/store/index.ts'

export interface MemoryObject {
  readonly bytes: Uint8Array
  readonly info: ObjectInfo
}

/** What memory stores can share: the objects, and whether the container exists at all. */
export class MemoryContainer {
  readonly #objects = new Map<string, MemoryObject>()
  #sorted: readonly string[] | undefined
  #writes = 0
  exists = true

  get(key: string): MemoryObject | undefined {
    return this.#objects.get(key)
  }

  set(key: string, bytes: Uint8Array, createdAt: Date | undefined): MemoryObject {
    this.#writes++
    const info: ObjectInfo = {
      key,
      size: bytes.byteLength,
      lastModified: new Date(),
      version: `m${this.#writes}` as Version,
      ...(createdAt === undefined ? {} : { createdAt: new Date(createdAt) }),
    }
    const object = { bytes, info }
    if (!this.#objects.has(key)) this.#sorted = undefined
    this.#objects.set(key, object)
    return object
  }

  delete(key: string): void {
    if (this.#objects.delete(key)) this.#sorted = undefined
  }

  /** Up to `limit` keys after `after`, ascending. Code-unit order is byte order, as keys are ASCII. */
  keysAfter(after: string, limit: number): readonly string[] {
    this.#sorted ??= [...this.#objects.keys()].sort()
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sorted[middle]! <= after) low = middle + 1
      else high = middle
    }
    return this.#sorted.slice(low, low + limit)
  }
}
