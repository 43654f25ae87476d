import type { DirEntry, DriverListOptions, ObjectInfo } from '../../core/store/index.ts'

/**
 * The folder that contains `startAfter`, if it has later keys; it is the first entry of the level.
 * Its own name sorts before `startAfter`, and some services therefore leave it out.
 *
 * @param list the store's listing of keys; at most one is taken
 */
export async function* startFolder(
  { prefix, startAfter, signal }: DriverListOptions,
  list: (options: DriverListOptions) => AsyncIterable<ObjectInfo>,
): AsyncGenerator<DirEntry, void> {
  if (!startAfter.startsWith(prefix)) return
  const slash = startAfter.indexOf('/', prefix.length)
  if (slash === -1) return
  const folder = startAfter.slice(0, slash + 1)
  for await (const _ of list({ prefix: folder, startAfter, signal })) {
    yield { kind: 'prefix', prefix: folder }
    return
  }
}

/** One page of a level: objects and folders after `startAfter`, merged into one order. */
export function levelEntries(
  objects: readonly ObjectInfo[],
  prefixes: readonly string[],
  startAfter: string,
): DirEntry[] {
  const entries: DirEntry[] = [
    ...objects.map((object) => ({ kind: 'object' as const, object })),
    ...prefixes.map((prefix) => ({ kind: 'prefix' as const, prefix })),
  ]
  return entries
    .filter((entry) => nameOf(entry) > startAfter)
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
}

function nameOf(entry: DirEntry): string {
  return entry.kind === 'object' ? entry.object.key : entry.prefix
}
