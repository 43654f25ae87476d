import { describe, expect, it } from 'vitest'
import {
  formatBytes,
  formatList,
  formatTable,
  plural,
  printableLines,
  shellWord,
} from '../../src/cli/output/format.ts'

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1_500_000, '1.5 MB'],
    [999_999, '1.0 MB'],
    [64_000_000_000, '64.0 GB'],
  ])('%d is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })
})

describe('formatTable', () => {
  it('aligns columns, with numbers on the right and no trailing spaces', () => {
    expect(
      formatTable([
        ['NAME', 'SIZE', 'X'],
        ['app', '1.0 kB', ''],
        ['longer name', '12 B', 'y'],
      ]),
    ).toBe(['NAME           SIZE  X', 'app          1.0 kB', 'longer name    12 B  y'].join('\n'))
  })

  it('becomes a block for each row where the terminal is too narrow', () => {
    const rows = [
      ['NAME', 'SIZE', 'X'],
      ['app', '1.0 kB', ''],
      ['longer name', '12 B', 'y'],
    ]
    const blocks = ['app', '  SIZE  1.0 kB', 'longer name', '  SIZE  12 B', '  X     y'].join('\n')
    expect(formatTable(rows, 21)).toBe(blocks)
    expect(formatTable(rows, 22)).toBe(formatTable(rows))
  })

  it('keeps numbers at the right where some are missing, and a column without any at the left', () => {
    const rows = [
      ['N', 'TXID', 'NONE'],
      ['a', '12', ''],
      ['b', '', ''],
    ]
    expect(formatTable(rows)).toBe('N  TXID  NONE\na    12\nb')
  })

  it('keeps control characters of names from the terminal', () => {
    expect(formatTable([['NAME'], ['a\nb\u001b[31m']])).toBe('NAME\na\\nb\\u001b[31m')
  })
})

describe('printableLines', () => {
  it('leaves lines and letters alone, and shows what would move the cursor', () => {
    expect(printableLines('spáce 日本\nnext')).toBe('spáce 日本\nnext')
    expect(printableLines('a\rb\u0007\u0085\u2028')).toBe('a\\u000db\\u0007\\u0085\\u2028')
  })
})

describe('plural and shellWord', () => {
  it('write counts and words as people and shells read them', () => {
    expect([plural(0, 'file'), plural(1, 'file'), plural(2, 'file')]).toEqual([
      '0 files',
      '1 file',
      '2 files',
    ])
    expect([shellWord('./a/b-1.db'), shellWord("it's here"), shellWord('')]).toEqual([
      './a/b-1.db',
      `'it'\\''s here'`,
      "''",
    ])
  })

  it('shows the first of many words', () => {
    const names = Array.from({ length: 12 }, (_, i) => `db${i}`)
    expect(formatList(names.slice(0, 2))).toBe('db0, db1')
    expect(formatList(names.slice(0, 10))).not.toContain('more')
    expect(formatList(names, 3)).toBe('db0, db1, db2 and 9 more')
  })
})
