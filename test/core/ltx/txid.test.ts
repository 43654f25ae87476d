import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatTxid, nextTxid, parseTxid, txid } from '../../../src/core/ltx/txid.ts'
import { errorCode } from './ltx-samples.ts'

describe('TXID', () => {
  it('has 16 lower-case digits', () => {
    expect(formatTxid(txid(1))).toBe('0000000000000001')
    expect(formatTxid(txid(1000))).toBe('00000000000003e8')
    expect(formatTxid(txid(2n ** 64n - 1n))).toBe('ffffffffffffffff')
  })

  it('keeps every value through its text form, and sorts as text like as a number', () => {
    const id = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(txid)
    fc.assert(
      fc.property(id, id, (a, b) => {
        expect(parseTxid(formatTxid(a))).toBe(a)
        expect(formatTxid(a) < formatTxid(b)).toBe(a < b)
      }),
    )
  })

  it.each([0, -1, 1.5, Number.NaN, 2 ** 53, 0n, 2n ** 64n])('rejects the value %s', (value) => {
    expect(errorCode(() => txid(value))).toBe('InvalidTxid')
  })

  it.each([
    '',
    '1',
    '0000000000000000',
    '000000000000000A',
    '00000000000000001',
    '0x00000000000001',
    ' 000000000000001',
    '000000000000000g',
    '0000000000000001\n',
  ])('rejects the text %j', (text) => {
    expect(errorCode(() => parseTxid(text))).toBe('InvalidTxid')
  })

  it('counts up to 2^64 - 1 and no further', () => {
    expect(nextTxid(txid(2 ** 53 - 1))).toBe(2n ** 53n)
    expect(errorCode(() => nextTxid(txid(2n ** 64n - 1n)))).toBe('InvalidTxid')
  })
})
