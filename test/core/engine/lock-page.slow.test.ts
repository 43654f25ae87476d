import { statSync } from 'node:fs'
import { expect, it } from 'vitest'
import { lockPage } from '../../../src/core/ltx/index.ts'
import { ReplicaRig } from '../../support/replica-rig.ts'

it('a database beyond 1 GiB: the lock page is never read, shipped or missed', async () => {
  await using rig = new ReplicaRig()
  const db = rig.open()
  db.exec(`PRAGMA journal_mode = DELETE; PRAGMA page_size = 65536; VACUUM; PRAGMA synchronous = OFF;
    CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB);
    INSERT INTO t VALUES (1, zeroblob(500000000)), (2, zeroblob(500000000)), (3, zeroblob(70000000));
    PRAGMA journal_mode = WAL`)
  await rig.start()
  await rig.synced()
  // Grows across page 16385 again in the WAL, so that both ways of reading meet it.
  db.exec(`DELETE FROM t WHERE id = 3; VACUUM; INSERT INTO t VALUES (4, zeroblob(90000000))`)
  await rig.synced()
  await rig.stop()
  expect(statSync(rig.path).size / 65536).toBeGreaterThan(lockPage(65536))
  const restored = await rig.restore()
  const sizes = 'SELECT id, length(a) AS bytes FROM t ORDER BY id'
  expect(restored.prepare(sizes).all()).toEqual(db.prepare(sizes).all())
  expect(restored.prepare('PRAGMA quick_check').get()).toEqual({ quick_check: 'ok' })
  restored.close()
  db.close()
}, 300_000)
