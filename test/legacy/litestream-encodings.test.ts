import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../src/backends/memory/index.ts'
import { decodeLtx, encodeLtx, type LtxEncoding, txid } from '../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../src/core/restore/restore.ts'
import { golden } from '../core/ltx/ltx-samples.ts'
import { growingStates, level0, ltxBetween, timeOfTxid } from '../core/restore/chain.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-encodings-'))
const output = join(folder, 'out.db')
let client: ReplicaClient
beforeEach(() => {
  rmSync(output, { force: true })
  client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Litestream 0.5.0 to 0.5.15 wrote each page as an LZ4 frame, later versions write a block with its size. */
describe('a replica of Litestream 0.5', () => {
  it.each([
    ['frame', () => 'frame'],
    ['block', () => 'block'],
    ['mixed, as after an upgrade,', (n: number) => (n < 5 ? 'frame' : 'block')],
  ] as [string, (n: number) => LtxEncoding][])(
    'in %s encoding restores exactly',
    async (_, encodingOf) => {
      const states = growingStates(9)
      for (const file of level0(1, states.length)) {
        const { header, pages } = decodeLtx(ltxBetween(states, 4096, file))
        const body = encodeLtx(header, pages, { encoding: encodingOf(file.min) })
        const id = txid(file.min)
        await client.put(0, id, id, body, { createdAt: timeOfTxid(file.min) })
      }
      await restoreReplica(client, { kind: 'latest' }, output)
      expect(readFileSync(output).equals(states.at(-1) as Buffer)).toBe(true)
    },
  )

  it.each(['frame', 'block'] as const)(
    'restores from what the reference wrote in %s encoding',
    async (encoding) => {
      const bytes = golden(encoding, 'b-snapshot-512-1page-chk')
      const { header, pages } = decodeLtx(bytes)
      await client.put(9, header.minTxid, header.maxTxid, bytes, {
        createdAt: new Date(header.timestamp),
      })
      await restoreReplica(client, { kind: 'latest' }, output, { integrityCheck: 'none' })
      expect(readFileSync(output)).toEqual(Buffer.concat(pages.map(({ data }) => data)))
    },
  )
})
