import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { txid } from '../../../src/core/ltx/index.ts'
import { ltxKey, parseLtxKey, replicaName } from '../../../src/core/replica/replica-layout.ts'

describe('ltxKey', () => {
  it('writes the names that Litestream looks for', () => {
    const [min, max] = [txid(1), txid(0xabcdefn)]
    expect(ltxKey('ltx', 0, min, min)).toBe('ltx/0/0000000000000001-0000000000000001.ltx')
    expect(ltxKey('ltx', 9, min, max)).toBe('ltx/9/0000000000000001-0000000000abcdef.ltx')
    expect(ltxKey('hex', 0, min, min)).toBe('0000/0000000000000001-0000000000000001.ltx')
    expect(ltxKey('hex', 9, min, max)).toBe('0009/0000000000000001-0000000000abcdef.ltx')
  })

  it('refuses what no file can be', () => {
    for (const level of [-1, 10, 1.5, Number.NaN]) {
      expect(() => ltxKey('ltx', level, txid(1), txid(1))).toThrow(RangeError)
    }
    expect(() => ltxKey('ltx', 0, txid(2), txid(1))).toThrow(RangeError)
  })
})

describe('parseLtxKey', () => {
  it('is the inverse of ltxKey for every level and TXID', () => {
    const id = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n })
    void fc.assert(
      fc.property(
        fc.constantFrom('ltx' as const, 'hex' as const),
        fc.nat({ max: 9 }),
        id,
        id,
        (layout, level, a, b) => {
          const [min, max] = a < b ? [txid(a), txid(b)] : [txid(b), txid(a)]
          const key = ltxKey(layout, level, min, max)
          expect(parseLtxKey(layout, key)).toEqual({ level, minTxid: min, maxTxid: max })
          expect(parseLtxKey(layout === 'ltx' ? 'hex' : 'ltx', key)).toBeUndefined()
        },
      ),
    )
  })

  const name = '0000000000000001-0000000000000002.ltx'
  it.each([
    `ltx/0/../0/${name}`,
    `/ltx/0/${name}`,
    `../ltx/0/${name}`,
    `ltx/10/${name}`,
    `ltx/00/${name}`,
    `ltx/a/${name}`,
    `ltx//${name}`,
    `LTX/0/${name}`,
    `app/ltx/0/${name}`,
    `ltx/0/x/${name}`,
    `ltx/0/${name}.tmp`,
    `ltx/0/${name}\n`,
    `ltx/0/${name}\0`,
    `ltx/0/ ${name}`,
    'ltx/0/0000000000000000-0000000000000000.ltx',
    'ltx/0/0000000000000000-0000000000000002.ltx',
    'ltx/0/0000000000000002-0000000000000001.ltx',
    'ltx/0/000000000000000A-000000000000000B.ltx',
    'ltx/0/1-2.ltx',
    'ltx/0/00000000000000001-00000000000000002.ltx',
    'ltx/0/０000000000000001-0000000000000002.ltx',
    'ltx/0/0000000000000001_0000000000000002.ltx',
    'ltx/0/',
    'ltx/0',
    '',
  ])('knows %j as no LTX file', (key) => {
    expect(parseLtxKey('ltx', key)).toBeUndefined()
  })

  it.each([
    `000a/${name}`,
    `0010/${name}`,
    `0/${name}`,
    `000/${name}`,
    `x0000/${name}`,
    `app/0000/${name}`,
  ])('knows %j as no LTX file of the hex layout', (key) => {
    expect(parseLtxKey('hex', key)).toBeUndefined()
  })
})

describe('replicaName', () => {
  it.each([
    ['app.db', 'app'],
    ['/var/lib/my.app.db', 'my.app'],
    ['./app', 'app'],
    ['my app.sqlite', 'my=20app'],
    ['.hidden', '=2Ehidden'],
    ['a=b.db', 'a=3Db'],
    ['größe.db', 'gr=C3=B6=C3=9Fe'],
    ['../../x.db', 'x'],
    ['/', undefined],
  ])('%s', (path, expected) => {
    if (expected === undefined) expect(() => replicaName(path)).toThrow()
    else expect(replicaName(path)).toBe(expected)
  })
})
