import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { readReplicaHead } from '../../../src/core/replica/replica-head.ts'
import { EpochClaim } from '../../../src/core/replica/writer-claim/writer-claim.ts'
import { StoreError, withoutConditions } from '../../../src/core/store/index.ts'
import { ReplicaRig } from '../../support/replica-rig.ts'

/** A service that answers 501 to every conditional write. */
class NoConditions extends MemoryObjectStore {
  refused = 0

  override async put(...[key, body, options]: Parameters<MemoryObjectStore['put']>) {
    if (options?.ifAbsent !== undefined || options?.ifMatch !== undefined) {
      this.refused += 1
      const message = 'A header you provided implies functionality that is not implemented.'
      throw new StoreError('Unsupported', message, { op: 'put', key, httpStatus: 501 })
    }
    return await super.put(key, body, options)
  }
}

it('A database without fencing is replicated into a store that refuses conditional writes.', async () => {
  const service = new NoConditions()
  await using rig = new ReplicaRig(withoutConditions(service))
  const db = rig.open()
  db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
  await rig.start({ singleWriter: 'none' })
  db.exec('INSERT INTO t VALUES (2)')
  await rig.synced()
  await rig.stop()
  using restored = await rig.restore()
  expect(restored.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 2 })
  expect(service.refused).toBe(0)
  db.close()
})

it('The error for a claim that a store refuses as unsupported names the flag that makes none.', async () => {
  const service = new NoConditions()
  const claim = new EpochClaim('app', service, { singleWriter: 'newest', random: 1 })
  const head = await readReplicaHead(new ReplicaClient(service, 'ltx'), {})
  await expect(claim.acquire(head, claim.now())).rejects.toMatchObject({
    code: 'Unsupported',
    hint: expect.stringContaining('--no-fencing'),
  })
  expect(service.refused).toBeGreaterThan(0)
})
