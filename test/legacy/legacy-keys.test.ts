import { describe, expect, it } from 'vitest'
import { parseLegacyKey } from '../../src/legacy/legacy-keys.ts'
import { BUCKETS, readBucket } from './bucket.ts'

describe('parseLegacyKey', () => {
  it('reads the keys that walsync 0.1 wrote', () => {
    expect(parseLegacyKey('snapshots/20261124031704.db')).toEqual({
      kind: 'snapshot',
      takenAt: new Date('2026-11-24T03:17:04Z'),
    })
    expect(parseLegacyKey('wal/00000012-20240229235959007.wal')).toEqual({
      kind: 'segment',
      generation: 12,
      uploadedAt: new Date('2024-02-29T23:59:59.007Z'),
    })
    expect(parseLegacyKey('state.json')).toEqual({ kind: 'state' })
    for (const { objects } of BUCKETS.map(readBucket)) {
      for (const { key } of objects)
        expect(parseLegacyKey(key.split('/').slice(1).join('/'))).toBeDefined()
    }
  })

  it.each([
    'snapshots/20261124031704123.db',
    'snapshots/20261324031704.db',
    'snapshots/20230229000000.db',
    'snapshots/20261124246000.db',
    'snapshots/x20261124031704.db',
    'snapshots/20261124031704.db.bak',
    'wal/0000001-20261124031704034.wal',
    'wal/00000000-20261124031704.wal',
    'wal/a/00000000-20261124031704034.wal',
    'app/state.json',
    'ltx/0/0000000000000001-0000000000000001.ltx',
    '',
  ])('takes no other key: %j', (key) => {
    expect(parseLegacyKey(key)).toBeUndefined()
  })
})
