import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DriverStore, PrefixedStore } from 'walsync/store'
import { SqliteDriver } from '../src/index.js'

// #region harness
/** A file for each case of the suite, so that the bare store is tested; a prefix below that. */
export function sqliteHarness() {
  const base = mkdtempSync(join(tmpdir(), 'walsync-store-sqlite-'))
  return {
    name: 'walsync-store-sqlite',
    limits: { bigObjectBytes: 16 * 1024 * 1024, manyKeys: 1200, pageSize: 500, raceRounds: 10 },
    child: { module: import.meta.url, data: base },
    open: (prefix) => openStore(prefix, base),
    openMissingContainer: async () => open(join(base, 'no-such-folder', 'objects.db')),
    async residue(prefix) {
      const db = new DatabaseSync(fileOf(prefix, base).path)
      const rows = db
        .prepare(
          'SELECT id FROM upload UNION SELECT id FROM chunk WHERE id NOT IN (SELECT id FROM object)',
        )
        .all()
      db.close()
      return rows.map(({ id }) => `upload ${id}`)
    },
    close: async () => rmSync(base, { recursive: true, force: true }),
  }
}

/** Also called by the suite's child processes. */
export async function openStore(prefix, base) {
  const { path, below } = fileOf(prefix, base)
  const store = open(path)
  return below === '' ? store : new PrefixedStore(store, below)
}

function open(path) {
  return new DriverStore(new SqliteDriver(path))
}
// #endregion

function fileOf(prefix, base) {
  const [run, id, ...below] = prefix.split('/')
  return { path: join(base, `${run}-${id}.db`), below: below.join('/') }
}
