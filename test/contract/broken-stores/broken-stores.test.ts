import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileObjectStore } from '../../../src/backends/file/index.ts'
import { type ContractHarness, facets, runObjectStoreContract } from '../../../src/testing/index.ts'
import type { BrokenChild } from './broken-child.ts'
import { brokenHarness } from './broken-harness.ts'
import { brokenStores } from './index.ts'

/** Flaws that show only in another process. */
const brokenChildren: readonly (readonly [flaw: BrokenChild['flaw'], caughtBy: string])[] = [
  ['looks first and puts then', 'CD06'],
  ['keeps the process alive', 'CL04'],
]

/** Cases that no store here makes fail, with the reason. */
const NOT_PROVABLE: Readonly<Record<string, string>> = {
  LG08: 'needs a backend that uploads in parts; memory and folder have none',
  LG09: 'needs a backend that uploads in parts; memory and folder have none',
  LG10: 'needs a backend that uploads in parts; memory and folder have none',
}

describe('the contract catches a store that', () => {
  it.each(brokenStores.map((broken) => [broken.name, broken] as const))(
    '%s',
    { timeout: 60_000 },
    async (_, broken) => {
      const only = broken.caughtBy
      const report = await runObjectStoreContract(brokenHarness(broken), { only, timeoutMs: 4000 })
      const verdicts = report.results.map(({ id, status }) => [id, status])
      expect(Object.fromEntries(verdicts)).toEqual(
        Object.fromEntries(only.map((id) => [id, 'failed'])),
      )
    },
  )

  it.each(brokenChildren)('%s, in a child process', { timeout: 60_000 }, async (flaw, id) => {
    const root = await mkdtemp(join(tmpdir(), 'walsync-broken-'))
    const harness: ContractHarness = {
      name: flaw,
      open: async (prefix) => new FileObjectStore({ root: join(root, prefix), create: true }),
      child: {
        module: new URL('./broken-child.ts', import.meta.url).href,
        data: { root, flaw } satisfies BrokenChild,
      },
      close: () => rm(root, { recursive: true, force: true }),
    }
    const report = await runObjectStoreContract(harness, { only: [id] })
    expect(report.results.map(({ status }) => status)).toEqual(['failed'])
  })
})

describe('the table of broken stores', () => {
  const ids = facets.flatMap((facet) => facet.cases.map((one) => one.id))
  const caught = new Set([
    ...brokenStores.flatMap((broken) => broken.caughtBy),
    ...brokenChildren.map(([, id]) => id),
  ])

  it('has a store for every case, or the reason why not', () => {
    expect(ids.filter((id) => !caught.has(id) && !(id in NOT_PROVABLE))).toEqual([])
    expect(Object.keys(NOT_PROVABLE).filter((id) => caught.has(id))).toEqual([])
  })

  it('names only cases that exist, and each store once', () => {
    expect([...caught].filter((id) => !ids.includes(id))).toEqual([])
    const names = brokenStores.map((broken) => broken.name)
    expect(names).toEqual([...new Set(names)])
    expect(ids).toEqual([...new Set(ids)])
  })
})
