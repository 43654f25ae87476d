import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileObjectStore } from '../../src/backends/file/index.ts'
import type { ContractHarness } from '../../src/testing/index.ts'

/** A root for each prefix under one temporary folder. */
export async function fileHarness(): Promise<ContractHarness> {
  const base = await mkdtemp(join(tmpdir(), 'walsync-contract-'))
  return {
    name: 'file',
    limits: { bigObjectBytes: 128 * 1024 * 1024, manyKeys: 1500, pageSize: 150, raceRounds: 20 },
    child: { module: new URL('./file-child.ts', import.meta.url).href, data: base },
    open: async (prefix) => new FileObjectStore({ root: join(base, prefix), create: true }),
    openMissingContainer: async () => new FileObjectStore({ root: join(base, 'none') }),
    async residue(prefix) {
      const names = readdirSync(join(base, prefix), { recursive: true }) as string[]
      return names.filter((name) => name.includes('.walsync-tmp/'))
    },
    close: () => rm(base, { recursive: true, force: true }),
  }
}
