import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Bed } from './bed.ts'

/** Copies of one database of 50 rows that no application has open: `db0.db`, `db1.db` and so on. */
export function fleetBed(count: number): Bed {
  return new Bed({
    databases: (folder) => {
      const template = join(folder, 'template')
      const db = new DatabaseSync(template)
      db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a, b)')
      db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
        INSERT INTO t SELECT i, hex(randomblob(100)) FROM n`)
      db.close()
      const paths = Array.from({ length: count }, (_, i) => join(folder, `db${i}.db`))
      for (const path of paths) copyFileSync(template, path)
      return paths
    },
  })
}

export function nameOfFleet(count: number): string {
  return `${count.toLocaleString('en-US')} databases`
}
