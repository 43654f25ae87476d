import type { DirEntry, ObjectInfo } from '../object-store.ts'

/** Folds an ascending listing of `prefix` into one level, for services that list without a delimiter. */
export async function* foldDirs(
  objects: AsyncIterable<ObjectInfo>,
  prefix: string,
): AsyncGenerator<DirEntry> {
  let last: string | undefined
  for await (const object of objects) {
    const slash = object.key.indexOf('/', prefix.length)
    if (slash === -1) {
      yield { kind: 'object', object }
      continue
    }
    const dir = object.key.slice(0, slash + 1)
    if (dir !== last) yield { kind: 'prefix', prefix: dir }
    last = dir
  }
}
