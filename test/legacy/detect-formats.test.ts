import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../src/backends/memory/index.ts'
import { detectAll, detectConcatenated, detectFormats } from '../../src/legacy/detect-formats.ts'

async function storeWith(...keys: string[]): Promise<MemoryObjectStore> {
  const store = new MemoryObjectStore()
  for (const key of keys) await store.put(key, Buffer.from('x'))
  return store
}

const OLD = 'snapshots/20261124031704.db'
const SEGMENT = 'wal/00000000-20261124031704034.wal'
const LTX = 'ltx/0/0000000000000001-0000000000000001.ltx'
const LITESTREAM = 'generations/0123456789abcdef/snapshots/00000000.snapshot.lz4'

describe('detectAll', () => {
  it('finds every format at the root, in folders and one folder deeper', async () => {
    const store = await storeWith(
      `app/${OLD}`,
      `app/${LTX}`,
      `db/${LITESTREAM}`,
      `group/inner/${SEGMENT}`,
      `group/other/${LTX}`,
      `new/${LTX}`,
      'second/00000001-00000004.ltx',
      'second/manifest.json',
      SEGMENT,
    )
    expect(await detectAll(store)).toEqual([
      { prefix: '', format: 'walsync-0.1' },
      { prefix: 'app', format: 'walsync-0.1' },
      { prefix: 'db', format: 'litestream-0.3' },
      { prefix: 'group/inner', format: 'walsync-0.1' },
      { prefix: 'second', format: 'walsync-0.3' },
    ])
    expect(await detectFormats(store, 'app')).toEqual(['walsync-0.1'])
    expect(await detectFormats(store, 'new')).toEqual([])
    expect(await detectFormats(store, '')).toEqual(['walsync-0.1'])
  })

  it('ignores everything else, whatever the names of its folders', async () => {
    const store = await storeWith(
      'photos/snapshots/summer.db',
      'photos/wal/1.wal',
      'photos/generations/mine/x',
      `app/deep/down/${OLD}`,
      'app.db',
    )
    expect(await detectAll(store)).toEqual([])
  })
})

describe('detectConcatenated', () => {
  it('finds names that start with the end of the URL, within one folder', async () => {
    const store = await storeWith(
      `backupsapp/${OLD}`,
      `backupsmy.db/${SEGMENT}`,
      `backups/app/${OLD}`,
      `backup/${OLD}`,
      `backupsnew/${LTX}`,
      `x/backupsapp/${OLD}`,
    )
    expect(await detectConcatenated(store, 'backups')).toEqual([
      { prefix: 'backupsapp', format: 'walsync-0.1' },
      { prefix: 'backupsmy.db', format: 'walsync-0.1' },
    ])
  })
})
