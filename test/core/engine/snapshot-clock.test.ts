import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { SnapshotPolicy } from '../../../src/core/engine/snapshots/snapshot-policy.ts'
import { txid } from '../../../src/core/ltx/index.ts'

it('after a snapshot from a time to come the next is due an interval from now, not from then', () => {
  const intervalMs = 5000
  const policy = new SnapshotPolicy(new MemoryObjectStore(), 'ltx', { intervalMs })
  const now = Date.UTC(2026, 0, 1)
  policy.recordSnapshot(txid(7), now + 400 * 24 * 60 * 60 * 1000)
  expect(policy.dueAt(now, txid(8))).toBe(now + intervalMs)
  expect(policy.dueAt(now + intervalMs - 1, txid(8))).toBe(now + intervalMs)
  expect(policy.dueAt(now + intervalMs, txid(8))).toBe(now + intervalMs)
})
