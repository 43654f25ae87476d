import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import type {
  GetOptions,
  GetResult,
  ListOptions,
  ObjectInfo,
} from '../../../src/core/store/index.ts'
import { StoreError } from '../../../src/core/store/index.ts'

/** A memory store whose listing has no `createdAt`, like S3's, and that notes its requests. */
export class CountingStore extends MemoryObjectStore {
  readonly gets: { readonly key: string; readonly bytes: number }[] = []
  lists = 0

  override async get(key: string, options?: GetOptions): Promise<GetResult> {
    const result = await super.get(key, options)
    this.gets.push({ key, bytes: result.range.end - result.range.start })
    return result
  }

  override async *list(options?: ListOptions): AsyncIterable<ObjectInfo> {
    this.lists++
    for await (const info of super.list(options)) yield { ...info, createdAt: undefined }
  }
}

/** A memory store that lists objects and then fails to give them, in a way that a test scripts. */
export class FailingStore extends MemoryObjectStore {
  /** Called before each `get`; may change the store or throw. */
  beforeGet: (key: string) => Promise<void> | void = () => {}

  override async get(key: string, options?: GetOptions): Promise<GetResult> {
    await this.beforeGet(key)
    return super.get(key, options)
  }
}

export function notFound(key: string): StoreError {
  return new StoreError('NotFound', `There is no object ${key}.`, { op: 'get', key })
}
