import { describe, expect, it } from 'vitest'
import { byBytes, byFolders, ListGuard } from '../../../src/backends/shared/list-bounds.ts'

describe('ListGuard', () => {
  it('ends a listing that continues without yielding any name', () => {
    const guard = new ListGuard('the bucket b')
    const pages = () => {
      for (let page = 0; page < 20_000; page++) guard.check({ names: [], token: String(page) })
    }
    expect(pages).toThrow(/continues without any names/)
  })

  it('compares as the service does: by UTF-8 bytes', () => {
    // U+FF5E sorts before U+1F600 by bytes, behind it by UTF-16 units.
    const names = ['\uff5e', '\u{1f600}']
    expect(() => new ListGuard('b').check({ names, token: undefined })).not.toThrow()
  })

  it('takes the order of folders where a service may have it, but no mixture', () => {
    const orders = [byBytes, byFolders]
    const byTree = { names: ['a/b', 'a-b'], token: undefined }
    expect(() => new ListGuard('c', orders).check(byTree)).not.toThrow()
    expect(() => new ListGuard('c').check(byTree)).toThrow(/out of order/)
    const mixed = { names: ['a/b', 'a-b', 'a/c', 'a0'], token: undefined }
    expect(() => new ListGuard('c', orders).check(mixed)).toThrow(/out of order/)
  })

  it('accepts a folder that is repeated on the next page', () => {
    const guard = new ListGuard('b')
    guard.check({ names: [], prefixes: ['a/', 'b/'], token: '1' })
    expect(() => guard.check({ names: [], prefixes: ['b/', 'c/'], token: '2' })).not.toThrow()
    expect(() => guard.check({ names: [], prefixes: ['b/'], token: undefined })).toThrow()
  })
})
