import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bed } from './bed.ts'
import { changeSome } from './filler.ts'
import type { Program } from './programs.ts'

/** One file for each commit, none merged. */
const FLAGS = ['--sync-interval', '5ms', '--levels', 'none']

/**
 * Lets walsync write a replica of so many files of the bed's database, which `makeFilled` made: a full
 * copy, and one change of some rows in each of the others. The watcher has ended afterwards.
 */
export async function makeHistory(
  bed: Bed,
  walsync: Program,
  files: number,
  rowsOfChange: number,
): Promise<void> {
  await bed.watch(walsync, FLAGS)
  const db = new DatabaseSync(bed.path, { timeout: 5000 })
  db.exec('PRAGMA synchronous = NORMAL')
  for (let have = bed.objects().length; have < files; have = bed.objects().length) {
    changeSome(db, rowsOfChange)
    const deadline = performance.now() + 30_000
    while (bed.objects().length === have) {
      if (performance.now() > deadline) throw new Error('a commit was not replicated within 30 s')
      await delay(2)
    }
  }
  db.close()
  await bed.stop()
}
