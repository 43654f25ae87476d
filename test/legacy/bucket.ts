import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { MemoryObjectStore } from '../../src/backends/memory/index.ts'

const FIXTURES = fileURLToPath(new URL('../fixtures/walsync-0.1/', import.meta.url))

/** A state of the source database, as it was noted when the bucket was made. */
export interface SourceState {
  readonly label: string
  readonly at: string
  readonly rows: number
  /** Of `(<id>, '<v in lower-case hex>')` for each row of `t` by `id`, with nothing between them. */
  readonly sha256: string
}

/** A bucket that walsync 0.1.1 wrote. */
export interface Bucket {
  readonly label: string
  /** Name of the database's folder. */
  readonly name: string
  readonly objects: readonly { readonly key: string; readonly bytes: Buffer; readonly time: Date }[]
  readonly source: readonly SourceState[]
}

export const BUCKETS = readdirSync(FIXTURES)

export function readBucket(label: string): Bucket {
  const index = JSON.parse(readFileSync(`${FIXTURES}${label}/index.json`, 'utf8')) as {
    objects: { key: string; last_modified: string }[]
    source: SourceState[]
  }
  const objects = index.objects.map(({ key, last_modified }) => {
    const bytes = readFileSync(`${FIXTURES}${label}/objects/${key}`)
    return { key, bytes, time: new Date(last_modified) }
  })
  const name = objects[0]?.key.split('/')[0] as string
  return { label, name, objects, source: index.source }
}

/** The bucket in memory; `change` may give an object other bytes, or take it away. */
export async function storeOf(
  { objects }: Bucket,
  change: (key: string, bytes: Buffer) => Buffer | undefined = (_, bytes) => bytes,
): Promise<MemoryObjectStore> {
  const store = new MemoryObjectStore()
  for (const { key, bytes, time } of objects) {
    const changed = change(key, bytes)
    if (changed !== undefined) await store.put(key, changed, { createdAt: time })
  }
  return store
}

/** Rows of a restored database, as `SourceState` has them; 0 rows if it has no table. */
export function rowsIn(path: string): Pick<SourceState, 'rows' | 'sha256'> {
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  using database = new DatabaseSync(url, { readOnly: true })
  const hash = createHash('sha256')
  let rows = 0
  const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 't'").get()
  const all = table === undefined ? [] : database.prepare('SELECT id, v FROM t ORDER BY id').all()
  for (const { id, v } of all) {
    rows++
    hash.update(`(${id}, '${Buffer.from(v as Uint8Array).toString('hex')}')`)
  }
  return { rows, sha256: hash.digest('hex') }
}
