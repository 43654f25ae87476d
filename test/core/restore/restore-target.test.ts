import { describe, expect, it } from 'vitest'
import { parseTxidTarget, renderTarget } from '../../../src/core/restore/restore-target.ts'

describe('parseTxidTarget', () => {
  it.each([
    ['1', 1n],
    ['42', 42n],
    ['0x2a', 0x2an],
    ['0X2A', 0x2an],
    ['000000000000002a', 0x2an],
    ['0000000000000042', 0x42n],
    ['0x0000000000000042', 0x42n],
    ['999999999999999', 999_999_999_999_999n],
    ['ffffffffffffffff', 0xffff_ffff_ffff_ffffn],
  ])('%s', (text, txid) => {
    expect(parseTxidTarget(text)).toEqual({ kind: 'txid', txid })
  })

  it.each([
    '',
    '0',
    '0000000000000000',
    '2a',
    '-1',
    '1.5',
    '1e3',
    '12345678901234567',
    '0x',
    '0x11111111111111111',
  ])('refuses %j', (text) => {
    expect(() => parseTxidTarget(text)).toThrow(expect.objectContaining({ code: 'InvalidTarget' }))
  })
})

describe('renderTarget', () => {
  it('names each kind', () => {
    expect(renderTarget({ kind: 'latest' })).toBe('the latest state')
    expect(renderTarget(parseTxidTarget('42'))).toBe('TXID 000000000000002a')
    expect(renderTarget({ kind: 'time', time: new Date('2026-11-24T18:00:00.000Z') })).toBe(
      'the state at 2026-11-24T18:00:00.000Z',
    )
  })
})
