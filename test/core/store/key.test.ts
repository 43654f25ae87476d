import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assertKey,
  decodeSegment,
  encodeSegment,
  isSegment,
} from '../../../src/core/store/index.ts'

/** A grapheme may be many bytes of UTF-8, each three characters of a segment of at most 200. */
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => Buffer.byteLength(text) <= 66)

describe('encodeSegment', () => {
  it('produces a legal segment that decodes to the name', () => {
    fc.assert(
      fc.property(name, (text) => {
        const segment = encodeSegment(text)
        expect(isSegment(segment)).toBe(true)
        expect(() => assertKey(segment, 'put')).not.toThrow()
        expect(decodeSegment(segment)).toBe(text)
      }),
    )
  })

  it('gives two names two segments', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(encodeSegment(a) === encodeSegment(b)).toBe(a === b)
      }),
    )
  })

  it('leaves plain file names as they are', () => {
    expect(encodeSegment('app-1_b.db')).toBe('app-1_b.db')
    expect(encodeSegment('.hidden')).toBe('=2Ehidden')
  })

  it.each(['', '\ud800', 'é'.repeat(40)])('refuses %j', (text) => {
    expect(() => encodeSegment(text)).toThrow(expect.objectContaining({ code: 'InvalidKey' }))
  })
})
