import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readBucket } from '../legacy/bucket.ts'

/** Lays a bucket out as a folder; files get the times that the objects had in the store. */
export function layOut(label: string, folder: string): void {
  for (const { key, bytes, time } of readBucket(label).objects) {
    const path = join(folder, key)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
    utimesSync(path, time, time)
  }
}

/** Contents and times of all files under a folder, by path. */
export function filesUnder(folder: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    const stats = statSync(path)
    if (stats.isFile()) files.set(name, `${stats.mtimeMs} ${readFileSync(path, 'hex')}`)
  }
  return files
}
